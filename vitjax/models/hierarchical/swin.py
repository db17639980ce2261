"""Swin: attention in windows, which every second block shifts (Liu et al. 2021, arXiv 2103.14030)."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import jax
from flax import nnx

from vitjax.errors import InputError
from vitjax.models.core.stack import Segment, Stack
from vitjax.models.core.stages import Stage
from vitjax.models.core.tap_site import Places
from vitjax.models.core.taps import Taps
from vitjax.models.hierarchical.pyramid import Grid, Pyramid, PyramidConfig
from vitjax.models.parts.attention import Attention
from vitjax.models.parts.block import TOKENS, Block, stacked
from vitjax.models.parts.merging import PatchMerging
from vitjax.models.parts.positions import RelativeBias
from vitjax.models.parts.windows import Windowed


@dataclass(frozen=True)
class SwinConfig(PyramidConfig):
    """A Swin Transformer: `windows` are the rows and columns of a window of each stage, on grids that are larger.

    On a smaller grid a window is the grid, and on one that a window fills nothing is shifted, axis by axis.
    """

    windows: tuple[int, ...] = (7, 7, 7, 7)

    def __post_init__(self):
        super().__post_init__()
        if len(self.windows) != len(self.widths) or min(self.windows) < 1:
            raise InputError(
                f"windows are {self.windows}: give one of at least 1 for each of {len(self.widths)} stages"
            )

    def window(self, stage: int) -> Grid:
        """(rows, columns) of a window of the stage."""
        return tuple(min(self.windows[stage], side) for side in self.grids[stage])

    def shift(self, stage: int) -> Grid:
        """(rows, columns) by which its odd blocks shift their windows."""
        pairs = zip(self.window(stage), self.grids[stage], strict=True)
        return tuple(size // 2 if side > size else 0 for size, side in pairs)


class SwinStage(Stage):
    """Blocks of windows and of shifted windows by turns, of which pairs are scanned, after merging patches."""

    def __init__(self, config: SwinConfig, stage: int, rngs: nnx.Rngs):
        blocks, grid = config.blocks(stage), config.grids[stage]
        window, shift = config.window(stage), config.shift(stage)
        if stage:
            self.merge = PatchMerging(config.blocks(stage - 1), blocks, config.grids[stage - 1], rngs)

        def block(shift: Grid, rngs: nnx.Rngs) -> Block:
            attention = lambda rngs: Attention(blocks, rngs, RelativeBias(window, blocks.heads))
            return Block(blocks, rngs, lambda rngs: Windowed(attention(rngs), grid, window, shift), grid=grid)

        pairs, alone = divmod(blocks.depth, 2)
        if pairs:
            self.plain = stacked(partial(block, (0, 0)), pairs, rngs)
            self.shifted = stacked(partial(block, shift), pairs, rngs)
        if alone:
            self.last = stacked(partial(block, (0, 0)), 1, rngs)
        self.places, self.segments, self.merges = Places(grid), (pairs, alone), stage > 0

    def stack(self) -> Stack:
        """The blocks."""
        pairs, alone = self.segments
        found = [Segment(("plain", "shifted"), pairs)] if pairs else []
        return Stack(self, *found, *([Segment(("last",), 1)] if alone else []))

    def enter(self, x: jax.Array, taps: Taps) -> jax.Array:
        """The merged patches."""
        return taps("embed", self.merge(x), TOKENS) if self.merges else x


class Swin(Pyramid):
    """A Swin Transformer whose every activation can be read and edited by name."""

    def __init__(self, config: SwinConfig, rngs: nnx.Rngs):
        super().__init__(config, rngs, [SwinStage(config, stage, rngs) for stage in range(len(config.widths))])

    @property
    def grid_arrays(self) -> Mapping[str, tuple[str, Grid]]:
        """See `Network.grid_arrays`: each block has a table of the distances in a window."""
        held = {}
        for stage, (found, depth) in enumerate(zip(self.stages, self.config.depths, strict=True)):
            for name in dict.fromkeys(name for name, _ in found.stack().rows[:depth]):
                array = f"stages.{stage}.{name}.attn.attn.bias.distances"
                held[array] = ("distances", self.config.window(stage))
        return held
