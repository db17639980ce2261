"""Says where a photograph lies in the model's input, once resized and cut, and where a patch lies in the photograph."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from vitjax.errors import InputError
from vitjax.models.core.preprocess import Input
from vitjax.models.core.tap_site import halved

Size = tuple[int, int]  # (height, width), unlike Pillow's


class Placement(NamedTuple):
    """The model's input, `rows` x `columns` pixels, on an image of `height` x `width`: where its top left corner is.

    Where `top` or `left` is negative, or the input reaches beyond the image, there is nothing of the image.
    """

    top: int
    left: int
    height: int
    width: int
    rows: int
    columns: int


def placement(size: tuple[int, int], config: Input) -> Placement:
    """Places the model's input on the resized image, by the checkpoint's `preprocess`.

    Rounds as the sources do, see `vitjax.models.core.preprocess`.

    Args:
        size: (width, height) of the original, as Pillow gives it.
        config: the model's; its `Input` will do.

    Raises:
        InputError: nothing may be cut off or added, and the resized image is not of the size that is needed.
    """
    preprocess, original = config.preprocess, (size[1], size[0])
    wanted = preprocess.size or config.image_size
    target = [math.floor(side / share) for side, share in zip(wanted, preprocess.crops, strict=True)]
    resized = _RESIZED[preprocess.mode](original, target)
    if not preprocess.cut and resized != wanted:
        raise InputError(
            f"an image of {size[0]}x{size[1]} pixels is {resized[1]}x{resized[0]} once the checkpoint's processor has"
            f" resized it, which cuts nothing off: only what comes to {wanted[1]}x{wanted[0]} fits this model"
        )
    top, left = (_CENTRED[preprocess.centre](there - side) for there, side in zip(resized, wanted, strict=True))
    return Placement(top, left, *resized, *config.image_size)


def place_size(config: Input, grid: Size) -> tuple[float, float]:
    """The (height, width) in pixels of a place of a grid: of one that stages have halved once or more, of more patches.

    A later stage's places are twice as high and wide as those of the stage before it, the last ones beyond the image
    where that has an odd number of rows or columns. Any other grid divides the image evenly.
    """
    height, width = config.patch_size
    if times := halved(config.grid, grid):
        return height * times, width * times
    return config.image_size[0] / grid[0], config.image_size[1] / grid[1]


def patch_box(
    size: tuple[int, int], config: Input, row: int | np.ndarray, column: int | np.ndarray, grid: Size | None = None
) -> tuple[float, float, float, float]:
    """Finds a patch of the model's input in the original image: (left, top, right, bottom) in its pixels.

    A patch of what was added around the image lies outside it: its numbers are negative or beyond the image's.

    Args:
        size: (width, height) of the original.
        config: the model's; its `Input` will do.
        row, column: on the grid; numbers or arrays.
        grid: (rows, columns); default that of the patches.
    """
    at = placement(size, config)
    across, down = size[0] / at.width, size[1] / at.height
    height, width = place_size(config, grid or config.grid)
    row, column = np.float64(row), np.float64(column)  # numbers of few bits would overflow in a long, thin image
    x, y = at.left + column * width, at.top + row * height
    return x * across, y * down, (x + width) * across, (y + height) * down


def _cover(original: Size, target: Size) -> Size:
    """Keeps the proportions, nothing of the target stays empty.

    A square's other side is truncated (torchvision's Resize), a rectangle's rounded (timm's ResizeKeepRatio).
    """
    if target[0] == target[1]:
        return tuple(side * target[0] // min(original) for side in original)
    ratio = min(side / there for side, there in zip(original, target, strict=True))
    return tuple(round(side / ratio) for side in original)


def _within(original: Size, target: Size) -> Size:
    """Keeps the proportions, nothing of the image is beyond the target (timm's ResizeKeepRatio by the longest side)."""
    ratio = max(side / there for side, there in zip(original, target, strict=True))
    return tuple(max(1, round(side / ratio)) for side in original)


_RESIZED: dict[str, Callable[[Size, Size], Size]] = {
    "crop": _cover,
    "squash": lambda original, target: tuple(target),
    "border": _within,
    "none": lambda original, target: original,
}

# How many pixels are cut off before the centre, of so many in all; those that are added are below 0.
_CENTRED: dict[str, Callable[[int], int]] = {
    "torchvision": lambda spare: round(spare / 2) if spare >= 0 else -(-spare // 2),
    "transformers": lambda spare: spare // 2,
}
