"""Changes pictures of a training at random: RandAugment, colour jitter, random erasing.

What is drawn comes from the generator that is given, so the same one makes the same pictures anywhere.
"""

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageEnhance, ImageOps

Fill = int | tuple[int, ...]  # of what comes into a picture from outside
Change = Callable[[Image.Image, float, int, Fill, Image.Resampling], Image.Image]

LAYERS = 2  # changes of a picture
SHARE = 0.5  # of the pictures that go through each
SPREAD = 0.5  # standard deviation of its magnitude
MOST = 10  # magnitude
AREAS, LONGEST = (0.02, 1 / 3), 1 / 0.3  # of what is erased: shares of the picture, and the ratio of sides
TRIES = 10


def _affine(across: tuple[float, float, float], down: tuple[float, float, float]) -> Change:
    """Moves each place by (pixels of the width or height, shares of x, shares of y) times the magnitude."""

    def change(image: Image.Image, level: float, sign: int, fill: Fill, filter: Image.Resampling) -> Image.Image:
        by = sign * level / MOST
        matrix = (1 + by * across[1], by * across[2], by * across[0] * image.width)
        matrix += (by * down[1], 1 + by * down[2], by * down[0] * image.height)
        return image.transform(image.size, Image.Transform.AFFINE, matrix, filter, fillcolor=fill)

    return change


def _rotate(image: Image.Image, level: float, sign: int, fill: Fill, filter: Image.Resampling) -> Image.Image:
    return image.rotate(sign * 30 * level / MOST, filter, fillcolor=fill)


def _enhanced(kind: Callable[[Image.Image], ImageEnhance._Enhance]) -> Change:
    return lambda image, level, sign, *_: kind(image).enhance(max(0.1, 1 + sign * 0.9 * level / MOST))


def _added(image: Image.Image, level: float, *_: object) -> Image.Image:
    """Brightens what is darker than half."""
    more = int(110 * level / MOST)
    return image.point([min(255, i + more) if i < 128 else i for i in range(256)] * len(image.getbands()))


# The changes of RandAugment (Cubuk et al. 2019, arXiv 1909.13719), all the stronger the greater the magnitude, as timm
# has them as "inc1": (image, magnitude, sign, fill, filter) to an image.
CHANGES: dict[str, Change] = {
    "autocontrast": lambda image, *_: ImageOps.autocontrast(image),
    "equalize": lambda image, *_: ImageOps.equalize(image),
    "invert": lambda image, *_: ImageOps.invert(image),
    "rotate": _rotate,
    "posterize": lambda image, level, *_: ImageOps.posterize(image, max(1, 4 - int(4 * level / MOST))),
    "solarize": lambda image, level, *_: ImageOps.solarize(image, 256 - int(256 * level / MOST)),
    "solarize_add": _added,
    "color": _enhanced(ImageEnhance.Color),
    "contrast": _enhanced(ImageEnhance.Contrast),
    "brightness": _enhanced(ImageEnhance.Brightness),
    "sharpness": _enhanced(ImageEnhance.Sharpness),
    "shear_x": _affine((0, 0, 0.3), (0, 0, 0)),
    "shear_y": _affine((0, 0, 0), (0, 0.3, 0)),
    "translate_x": _affine((0.45, 0, 0), (0, 0, 0)),
    "translate_y": _affine((0, 0, 0), (0.45, 0, 0)),
}


def randaugment(
    rng: np.random.Generator, image: Image.Image, magnitude: float, fill: Fill, filter: Image.Resampling
) -> Image.Image:
    """Changes a picture twice, by any of `CHANGES`, each time with an even chance; as timm's rand-m9-mstd0.5-inc1.

    Args:
        rng: that draws.
        image: RGB or grey.
        magnitude: up to 10; each change has its own, normally distributed about it by 0.5.
        fill: of what comes in from outside.
        filter: that resamples.
    """
    changes = [*CHANGES.values()]
    for _ in range(LAYERS):
        change = changes[rng.integers(len(changes))]
        level, sign = float(np.clip(rng.normal(magnitude, SPREAD), 0, MOST)), 1 - 2 * int(rng.integers(2))
        if rng.random() < SHARE:
            image = change(image, level, sign, fill, filter)
    return image


def jittered(rng: np.random.Generator, image: Image.Image, share: float) -> Image.Image:
    """Changes brightness, contrast and saturation by factors in 1 ± `share`, in any order."""
    kinds = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
    for place in rng.permutation(len(kinds)):
        image = kinds[place](image).enhance(rng.uniform(1 - share, 1 + share))
    return image


def erased(
    rng: np.random.Generator, pixels: UInt8[np.ndarray, "h w color"], share: float, fill: Fill
) -> UInt8[np.ndarray, "h w color"]:
    """Fills a rectangle of a picture in so many of all draws (Zhong et al. 2017, arXiv 1708.04896).

    Its area is 2 to 33 % of the picture's, uniformly; the ratio of its sides 0.3 to 3.3, uniformly in its logarithm.
    """
    height, width, _ = pixels.shape
    if rng.random() >= share:
        return pixels
    for _ in range(TRIES):
        area = rng.uniform(*AREAS) * height * width
        ratio = math.exp(rng.uniform(-math.log(LONGEST), math.log(LONGEST)))
        down, across = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < down < height and 0 < across < width:
            top, left = int(rng.integers(height - down + 1)), int(rng.integers(width - across + 1))
            pixels = pixels.copy()
            pixels[top : top + down, left : left + across] = fill
            break
    return pixels
