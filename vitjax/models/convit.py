"""ConViT: a Vision Transformer whose first blocks learn how far to be convolutions (d'Ascoli et al. 2021).

arXiv 2103.10697.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import jax
from flax import nnx

from vitjax.errors import InputError
from vitjax.models.core.config import ViTConfig
from vitjax.models.core.stack import Segment, Stack
from vitjax.models.parts.attention import Attention
from vitjax.models.parts.block import Block, stacked
from vitjax.models.parts.positions import PositionGate
from vitjax.models.vit import ViT, block


@dataclass(frozen=True)
class ConvitConfig(ViTConfig):
    """A ConViT: in the first `local` blocks attention is gated and of patches alone, before the class token joins.

    Its patches are a square: the source knows no other grid.
    """

    heads: int = 4
    qkv_bias: bool = False
    local: int = 10

    def __post_init__(self):
        super().__post_init__()
        if not 1 <= self.local < self.depth:
            raise InputError(
                f"local is {self.local}: of {self.depth} blocks at least the first is local, and the last is not"
            )
        if self.grid[0] != self.grid[1]:
            raise InputError(
                f"the patches of a ConViT are a square, not {self.grid[0]}x{self.grid[1]}:"
                " give an image as high as it is wide"
            )
        if self.joins:
            raise InputError(f"joins is {self.joins}: the class token of a ConViT joins after its local blocks")

    @property
    def alone(self) -> int:
        """How many of the first blocks patches go through alone."""
        return self.local


class Convit(ViT):
    """A ConViT whose every activation can be read and edited by name.

    Its blocks are numbered through; in those of `local` there are patches alone.
    """

    def make_blocks(self, config: ConvitConfig, rngs: nnx.Rngs) -> None:
        """Makes the arrays of the blocks."""
        gated = lambda rngs: Attention(config, rngs, gate=PositionGate(config.grid, config.heads, rngs))
        self.local = stacked(lambda rngs: Block(config, rngs, gated, grid=config.grid), config.local, rngs)
        self.blocks = stacked(lambda rngs: block(config, rngs), config.depth - config.local, rngs)

    @property
    def grid_arrays(self) -> Mapping[str, tuple[str, tuple[int, int]]]:
        """See `Network.grid_arrays`."""
        return {"position": ("fixed positions", self.config.grid)}

    def stack(self) -> Stack:
        """All blocks."""
        after = self.config.depth - self.config.local
        return Stack(self, Segment(("local",), self.config.local), Segment(("blocks",), after, enter="join"))

    def keep(self, embedded: jax.Array, places: jax.Array) -> jax.Array:
        """See `Network.keep`."""
        raise InputError("patches cannot be left out of a ConViT: its attention knows each by its position; use seen=1")
