"""Twins: attention in windows and attention to fewer keys by turns, or the latter alone (Chu et al. 2021).

arXiv 2104.13840: SVT has both, PCPVT is PVT with positions that a convolution gives after each stage's first block.
"""

from dataclasses import dataclass
from functools import partial

import jax
from flax import nnx

from vitjax.errors import InputError
from vitjax.models.core.stack import Segment, Stack
from vitjax.models.core.stages import Stage
from vitjax.models.core.taps import Taps
from vitjax.models.hierarchical.pyramid import Pyramid, check_halves
from vitjax.models.hierarchical.reducing import ReducingConfig
from vitjax.models.parts.attention import Attention
from vitjax.models.parts.block import TOKENS, Block, stacked
from vitjax.models.parts.depthwise import ConvPositions
from vitjax.models.parts.merging import PatchStep
from vitjax.models.parts.windows import Windowed


@dataclass(frozen=True)
class TwinsConfig(ReducingConfig):
    """A Twins: `windows` are the rows and columns of a window of each stage's blocks 0, 2, …; () where none has any.

    Windows are as large at any image size, also larger than the grid, which is then filled up.
    """

    windows: tuple[int, ...] = ()

    def __post_init__(self):
        super().__post_init__()
        check_halves(self)
        if self.windows and (len(self.windows) != len(self.widths) or min(self.windows) < 2):
            raise InputError(
                f"windows are {self.windows}: give one of at least 2 for each of {len(self.widths)} stages, or none"
            )


class TwinsStage(Stage):
    """Blocks, of which the first stands before the positions, after embedding cells of the stage before.

    In SVT pairs of what follows are scanned: `reduced`, `local`.
    """

    def __init__(self, config: TwinsConfig, stage: int, rngs: nnx.Rngs):
        blocks, grid = config.blocks(stage), config.grids[stage]
        if stage:
            self.step = PatchStep(config.widths[stage - 1], config.embedding(stage), config.grids[stage - 1], rngs)

        def windowed(rngs: nnx.Rngs) -> Windowed:
            return Windowed(Attention(blocks, rngs), grid, (config.windows[stage],) * 2)

        reduced = partial(config.attention, stage)
        local = windowed if config.windows else reduced
        made = lambda attn, count: stacked(lambda rngs: Block(blocks, rngs, attn, grid=grid), count, rngs)
        pairs, alone = divmod(blocks.depth - 1, 2) if config.windows else (blocks.depth - 1, 0)
        self.first = made(local, 1)
        self.peg = ConvPositions(blocks.width, config.places(stage), rngs)
        if pairs:
            self.reduced = made(reduced, pairs)
            if config.windows:
                self.local = made(local, pairs)
        if alone:
            self.last = made(reduced, 1)
        self.places, self.steps = config.places(stage), stage > 0
        later = ((("reduced", "local") if config.windows else ("reduced",), pairs), (("last",), alone))
        self.later = tuple(part for part in later if part[1])

    def stack(self) -> Stack:
        """The blocks."""
        enters = zip(self.later, ("positioned", None), strict=False)
        return Stack(self, Segment(("first",), 1), *(Segment(*part, enter=enter) for part, enter in enters))

    def enter(self, x: jax.Array, taps: Taps) -> jax.Array:
        """The embedded cells."""
        return taps("embed", self.step(x), TOKENS) if self.steps else x

    def positioned(self, x: jax.Array, taps: Taps) -> tuple[jax.Array, Taps]:
        """The tokens with positions, after the first block."""
        return taps("peg", self.peg(x), TOKENS), taps

    def leave(self, x: jax.Array, taps: Taps) -> jax.Array:
        """The tokens with positions, if no block was left that reads them."""
        return x if self.later else self.positioned(x, taps)[0]


class Twins(Pyramid):
    """A Twins whose every activation can be read and edited by name."""

    def __init__(self, config: TwinsConfig, rngs: nnx.Rngs):
        super().__init__(config, rngs, [TwinsStage(config, stage, rngs) for stage in range(len(config.widths))])
