"""What pyramids share whose attention has fewer keys than queries: PVT and Twins."""

from dataclasses import dataclass, replace

from flax import nnx

from vitjax.errors import InputError
from vitjax.models.core.config import BlockConfig
from vitjax.models.hierarchical.pyramid import PyramidConfig
from vitjax.models.parts.merging import PatchStep
from vitjax.models.parts.reduced import PooledStep, ReducedAttention


@dataclass(frozen=True)
class ReducingConfig(PyramidConfig):
    """A pyramid in which squares of `reductions` by so many tokens give one key and one value, 1 for all as they are.

    Of rows and columns beyond the last whole square there are none. Where `pooled` is not 0 there are so many rows and
    columns of keys in every stage, whatever its reduction (PVT v2's linear attention). Norms of keys have `embed_eps`,
    as those of embedded patches.
    """

    widths: tuple[int, ...] = (64, 128, 320, 512)
    depths: tuple[int, ...] = (2, 2, 2, 2)
    heads: tuple[int, ...] = (1, 2, 5, 8)
    mlp_widths: tuple[int, ...] = (512, 1024, 1280, 2048)
    norm_eps: float = 1e-6
    embed_eps: float | None = 1e-5
    reductions: tuple[int, ...] = (8, 4, 2, 1)
    qkv_bias: bool = True
    pooled: int = 0

    def __post_init__(self):
        super().__post_init__()
        if len(self.reductions) != len(self.widths) or min(self.reductions) < 1:
            raise InputError(
                f"reductions are {self.reductions}: give one of at least 1 for each of {len(self.widths)} stages"
            )
        for stage, (step, grid) in enumerate(zip(self.reductions, self.grids, strict=True)):
            if step > min(grid) and not self.pooled:
                raise InputError(
                    f"stage {stage} has {grid[0]}x{grid[1]} tokens, from which no key of {step}x{step} can be made;"
                    " use larger images"
                )

    def blocks(self, stage: int) -> BlockConfig:
        """What the blocks of a stage are made of."""
        return replace(super().blocks(stage), qkv_bias=self.qkv_bias)

    def attention(self, stage: int, rngs: nnx.Rngs) -> ReducedAttention:
        """The attention of a block of the stage."""
        keys, grid, step = self.embedding(stage), self.grids[stage], self.reductions[stage]
        if self.pooled:
            found = PooledStep(keys, grid, self.pooled, rngs)
        else:
            found = PatchStep(keys.width, keys, grid, rngs, step) if step > 1 else None
        return ReducedAttention(self.blocks(stage), rngs, found)
