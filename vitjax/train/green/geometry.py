"""Where the tokens of an encoder stand at each stage, and in which windows they attend to each other.

An image is masked in units, squares of as many pixels as one token of the last stage covers, so that what a cell is
merged of is there or not as a whole.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from jaxtyping import Int

from vitjax.errors import InputError
from vitjax.models.core.config import ViTConfig
from vitjax.models.hierarchical.swin import SwinConfig
from vitjax.models.hierarchical.twins import TwinsConfig
from vitjax.models.parts.windows import Windows

Grid = tuple[int, int]
REGIONS = 9  # that a shift can make beside each other in one window
Encoder = SwinConfig | TwinsConfig | ViTConfig


@dataclass(frozen=True)
class StageGeometry:
    """A stage of an encoder.

    Attributes:
        grid: (rows, columns) of its tokens.
        side: rows and columns of a unit's tokens.
        width: channels of a token.
        cuts: the windows of its blocks, each kind once; none where all attend to all.
    """

    grid: Grid
    side: int
    width: int
    cuts: tuple[Windows, ...] = ()


@dataclass(frozen=True)
class Geometry:
    """An encoder as masks see it.

    Attributes:
        unit: (height, width) of a unit in pixels.
        grid: (rows, columns) of the units.
        stages: from the first to the last.
    """

    unit: Grid
    grid: Grid
    stages: tuple[StageGeometry, ...]

    @cached_property
    def units(self) -> int:
        """How many units an image has."""
        return self.grid[0] * self.grid[1]

    @classmethod
    def of(cls, config: Encoder) -> Self:
        """Reads it off an encoder's config.

        Raises:
            InputError: a kind of encoder that cannot run on some of its tokens, or an image that units do not fill.
        """
        if isinstance(config, SwinConfig | TwinsConfig):
            return cls._of_pyramid(config)
        if type(config) is not ViTConfig:
            raise InputError(
                f"an encoder of kind {type(config).__name__} cannot run on visible tokens alone:"
                " Swin, Swin V2, Twins and plain Vision Transformers can"
            )
        if config.relative_bias or config.rotary:
            raise InputError(
                "this Vision Transformer's attention knows tokens by their positions: none can be left out"
            )
        return cls(config.patch_size, config.grid, (StageGeometry(config.grid, 1, config.width),))

    @classmethod
    def _of_pyramid(cls, config: SwinConfig | TwinsConfig) -> Self:
        times = 2 ** (len(config.widths) - 1)
        unit = tuple(times * side for side in config.patch_size)
        for side, of_unit, what in zip(config.image_size, unit, ("height", "width"), strict=True):
            if side % of_unit:
                near = max(of_unit, round(side / of_unit) * of_unit)
                raise InputError(
                    f"image {what} {side} is not divisible by {of_unit}, the side of what is masked as a whole"
                    f" (nearest: {near})"
                )
        stages = []
        for stage, (grid, width) in enumerate(zip(config.grids, config.widths, strict=True)):
            side = times >> stage
            if isinstance(config, SwinConfig):
                shifts = dict.fromkeys(((0, 0), config.shift(stage)))
                cuts = [Windows(grid, config.window(stage), shift, config.pad_first) for shift in shifts]
            else:
                cuts = [Windows(grid, (config.windows[stage],) * 2)] if config.windows else []
                step = config.reductions[stage]
                if side % step or step & (step - 1):
                    raise InputError(
                        f"stage {stage} makes a key of {step}x{step} tokens, a unit of a mask has {side}x{side}:"
                        " it must be a power of two that divides them"
                    )
            stages.append(StageGeometry(grid, side, width, tuple(cuts)))
        return cls(unit, tuple(side // of for side, of in zip(config.image_size, unit, strict=True)), tuple(stages))


def windows_of(cut: Windows) -> Int[np.ndarray, " place"]:
    """The number of each place's window; what a shift alone brought into one window has numbers of its own."""
    places, regions = cut.places, cut.regions
    numbers = np.broadcast_to(np.arange(len(places))[:, None], places.shape)
    numbers = numbers if regions is None else REGIONS * numbers + regions
    _, numbers = np.unique(numbers, return_inverse=True)  # without gaps
    found = np.zeros(cut.grid[0] * cut.grid[1], np.int32)
    found[places[places >= 0]] = numbers.reshape(places.shape)[places >= 0]
    return found
