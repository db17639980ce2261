"""Draws frames around some patches of images."""

from collections.abc import Iterable

import matplotlib.colors
import numpy as np
from jaxtyping import UInt8

from vitjax.analysis.study.style import COLORS
from vitjax.models.registry import Config

OUTLIER_COLOR = COLORS[4]


def framed(
    image: UInt8[np.ndarray, "h w 3"], patches: Iterable[int], config: Config, color: str = OUTLIER_COLOR
) -> UInt8[np.ndarray, "h w 3"]:
    """A copy of an image of the model's size with a frame inside each of some patches, an eighth of them thick."""
    image, (height, width) = image.copy(), config.patch_size
    paint = np.round(255 * np.array(matplotlib.colors.to_rgb(color))).astype(np.uint8)
    thick = max(1, min(height, width) // 8)
    for patch in patches:
        row, column = divmod(int(patch), config.grid[1])
        piece = image[row * height : (row + 1) * height, column * width : (column + 1) * width]
        piece[:thick] = piece[-thick:] = piece[:, :thick] = piece[:, -thick:] = paint
    return image
