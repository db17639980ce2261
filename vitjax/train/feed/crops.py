"""Cuts a part out of a photograph at random and brings it to the model's size, mirrored or not."""

import math

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from vitjax.data.prepare import prepare
from vitjax.models.core.preprocess import IMAGE_MODES, Input

LONGEST = 4 / 3  # ratio of a crop's sides, at most, either way
TRIES = 10


def random_box(rng: np.random.Generator, size: tuple[int, int], least: float) -> tuple[int, int, int, int]:
    """Draws a box of a random area and shape, anywhere in an image: (left, top, right, bottom).

    The area is `least` to 1 of the image's, uniformly; the ratio of the sides 3/4 to 4/3, uniformly in its logarithm.
    After ten boxes that do not fit it is the largest one in the middle. Source: torchvision's `RandomResizedCrop`.

    Args:
        rng: that draws.
        size: (width, height).
        least: share of the area.
    """
    width, height = size
    for _ in range(TRIES):
        area = rng.uniform(least, 1) * width * height
        ratio = math.exp(rng.uniform(-math.log(LONGEST), math.log(LONGEST)))
        across, down = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < across <= width and 0 < down <= height:
            left, top = int(rng.integers(width - across + 1)), int(rng.integers(height - down + 1))
            return left, top, left + across, top + down
    across, down = min(width, round(height * LONGEST)), min(height, round(width * LONGEST))
    left, top = (width - across) // 2, (height - down) // 2
    return left, top, left + across, top + down


def random_view(
    rng: np.random.Generator, image: Image.Image, config: Input, least: float, mirror: bool
) -> UInt8[np.ndarray, "h w color"]:
    """Gives a random crop of an image, resized by the model's own filter; mirrored in half of all draws.

    Args:
        rng: that draws: what it gives depends on nothing else.
        image: of any size.
        config: what the model reads.
        least: smallest share of the image's area that is seen; 1 prepares the whole image as the model wants it.
        mirror: whether it may be mirrored.
    """
    if least < 1:
        box, filter = random_box(rng, image.size, least), config.preprocess.interpolation
        image = image.convert(IMAGE_MODES[config.channels])
        rows, columns = config.image_size
        pixels = np.asarray(image.crop(box).resize((columns, rows), Image.Resampling[filter.upper()]))
        pixels = pixels.reshape(rows, columns, config.channels)
    else:
        pixels = prepare(image, config)
    return pixels[:, ::-1] if mirror and rng.integers(2) else pixels
