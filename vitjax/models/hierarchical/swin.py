"""Swin: attention in windows, which every second block shifts (Liu et al. 2021, arXiv 2103.14030)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Self

import jax
from flax import nnx

from vitjax.errors import InputError
from vitjax.models.core.config import BlockConfig
from vitjax.models.core.stack import Segment, Stack
from vitjax.models.core.stages import Stage
from vitjax.models.core.tap_site import Places
from vitjax.models.core.taps import Taps
from vitjax.models.hierarchical.pyramid import Grid, Pyramid, PyramidConfig
from vitjax.models.parts.attention import Attention
from vitjax.models.parts.block import TOKENS, Block, Make, stacked
from vitjax.models.parts.merging import PatchMerging
from vitjax.models.parts.positions import RelativeBias
from vitjax.models.parts.windows import APART, Windowed


@dataclass(frozen=True)
class SwinConfig(PyramidConfig):
    """A Swin Transformer: `windows` are the rows and columns of a window of each stage, one number where it is square.

    On a smaller grid a window is the grid, and on one that a window fills nothing is shifted, axis by axis. At another
    image size the windows stay what they are; `scaled` has them grow with the image. `apart` is added to the scores of
    tokens that only the shift brings into one window.

    transformers has another order, `pad_first`: a grid is filled up before it is rolled; and there a window that is
    larger than a side of the grid is a square of that side, shifted along neither axis.
    """

    windows: tuple[int | Grid, ...] = (7, 7, 7, 7)
    qkv_bias: bool = True
    pad_first: bool = False
    apart: float = APART

    def __post_init__(self):
        super().__post_init__()
        sides = [side for window in self.windows for side in _pair(window)]
        if len(self.windows) != len(self.widths) or min(sides) < 1:
            raise InputError(
                f"windows are {self.windows}: give one of at least 1 for each of {len(self.widths)} stages"
            )

    def blocks(self, stage: int) -> BlockConfig:
        """What the blocks of a stage are made of."""
        return replace(super().blocks(stage), qkv_bias=self.qkv_bias)

    def window(self, stage: int) -> Grid:
        """(rows, columns) of a window of the stage."""
        grid = self.grids[stage]
        if self.pad_first:
            grid = (min(grid),) * 2
        return tuple(min(size, side) for size, side in zip(_pair(self.windows[stage]), grid, strict=True))

    def shift(self, stage: int) -> Grid:
        """(rows, columns) by which its odd blocks shift their windows."""
        grid, window = self.grids[stage], self.window(stage)
        fits = [side > size for size, side in zip(window, grid, strict=True)]
        if self.pad_first:
            fits = [all(fits)] * 2
        return tuple(size // 2 if free else 0 for size, free in zip(window, fits, strict=True))

    def scaled(self, image_size: tuple[int, int]) -> Self:
        """The same for another image size, with windows that keep their shares of the grid.

        It is timm's `set_input_size`. `vitjax.weights.parameters.fitted` takes a model's weights there.
        """
        other = replace(self, image_size=image_size, preprocess=self.preprocess.of(image_size))
        grown = lambda window: tuple(
            max(1, size * new // old) for size, new, old in zip(_pair(window), other.grid, self.grid, strict=True)
        )
        return replace(other, windows=tuple(map(grown, self.windows)))


class SwinStage(Stage):
    """Blocks of windows and of shifted windows by turns, of which pairs are scanned, after merging patches.

    Args:
        config: of the model.
        stage: its number.
        rngs: of the initialisation.
        bias: makes what is added to the scores in a window.
    """

    def __init__(self, config: SwinConfig, stage: int, rngs: nnx.Rngs, bias: Make):
        blocks, grid = config.blocks(stage), config.grids[stage]
        how = {"pad_first": config.pad_first, "apart": config.apart}
        if stage:
            before, after = config.embedding(stage - 1), config.embedding(stage)
            self.merge = PatchMerging(before, after, config.grids[stage - 1], rngs)

        def block(shift: Grid, rngs: nnx.Rngs) -> Block:
            attention = lambda rngs: Attention(blocks, rngs, bias(rngs))
            inside = lambda rngs: Windowed(attention(rngs), grid, config.window(stage), shift, **how)
            return Block(blocks, rngs, inside, grid=grid)

        pairs, alone = divmod(blocks.depth, 2)
        if pairs:
            self.plain = stacked(partial(block, (0, 0)), pairs, rngs)
            self.shifted = stacked(partial(block, config.shift(stage)), pairs, rngs)
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
        stages = range(len(config.widths))
        super().__init__(config, rngs, [SwinStage(config, stage, rngs, self.bias(config, stage)) for stage in stages])

    @staticmethod
    def bias(config: SwinConfig, stage: int) -> Make:
        """What makes the bias of the scores in a window of the stage, of an `nnx.Rngs`."""
        return lambda rngs: RelativeBias(config.window(stage), config.heads[stage])

    @property
    def grid_arrays(self) -> Mapping[str, tuple[str, Grid]]:
        """See `Network.grid_arrays`: each block has a table of the distances in a window."""
        held = {}
        for stage, (found, depth) in enumerate(zip(self.stages, self.config.depths, strict=True)):
            for name in dict.fromkeys(name for name, _ in found.stack().rows[:depth]):
                array = f"stages.{stage}.{name}.attn.attn.bias.distances"
                held[array] = ("distances", self.config.window(stage))
        return held


def _pair(window: int | Grid) -> Grid:
    return (window, window) if isinstance(window, int) else tuple(window)
