"""Weather: snow, frost, fog and brightness of ImageNet-C; see `noise` for arguments.

Frost is synthetic. ImageNet-C lays crops of five photographs of frost over images; in their place `frosted` draws five
panes with ferns of ice, by a rule of this project's own and from fixed seeds, so that no photograph need be shipped.
They are as strong as makes ViT-Ti/16's errors, as shares of AlexNet's on ImageNet-C, what they are under other kinds.
"""

import math
from functools import cache

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image as Pictures
from PIL import ImageDraw
from scipy import ndimage

from vitjax.analysis.perturbed.corrupt.blur import magnified, moved
from vitjax.analysis.perturbed.corrupt.noise import Image

GREY = (0.299, 0.587, 0.114)  # how bright red, green and blue are
ICE = (0.86, 0.94, 1.0)  # colour of the brightest frost
PANES, PANE, ACROSS = 5, 512, 6  # pictures of frost; the side of one in pixels and in ferns
ROUGH = 100.0  # height of the first steps of a plasma fractal, squared


def snow(
    image: Image,
    rng: np.random.Generator,
    mean: float,
    spread: float,
    size: float,
    least: float,
    radius: int,
    sigma: float,
    kept: float,
) -> Image:
    """Lays flakes that fall, from two sides, over a paler image.

    Args:
        image: as everywhere.
        rng: as everywhere.
        mean, spread: of the normal noise that flakes are made of.
        size: how much that is magnified.
        least: what noise must be to be a flake.
        radius, sigma: of the flakes' motion, see `blur.moved`.
        kept: share of the image; the rest becomes grey and bright.
    """
    flakes = magnified(rng.normal(mean, spread, image.shape[:2]), size)
    flakes = np.clip(np.where(flakes < least, 0, flakes), 0, 1)
    flakes = moved(flakes, radius, sigma, rng.uniform(-135, -45))[..., None]
    pale = np.maximum(image, (image @ GREY)[..., None] * 1.5 + 0.5)
    return kept * image + (1 - kept) * pale + flakes + np.rot90(flakes, 2, axes=(0, 1))


def frost(image: Image, rng: np.random.Generator, kept: float, ice: float, scale: float) -> Image:
    """Adds a crop of a picture of frost, which is shown at `scale`, to a darker image."""
    pane, (height, width) = Pictures.fromarray(frosted(int(rng.integers(PANES)))), image.shape[:2]
    side = max(round(scale * PANE), height, width)
    seen = np.asarray(pane.resize((side, side), Pictures.Resampling.BILINEAR)) / 255
    top, left = rng.integers(0, side - height + 1), rng.integers(0, side - width + 1)
    return kept * image + ice * seen[top : top + height, left : left + width]


@cache
def frosted(number: int) -> UInt8[np.ndarray, "side side 3"]:
    """Draws a pane with frost: ferns of ice that grow from nuclei, on a film of uneven thickness."""
    rng = np.random.default_rng(number)
    ferns = Pictures.new("L", (2 * PANE, 2 * PANE))
    draw = ImageDraw.Draw(ferns)
    cells = np.stack(np.meshgrid(np.arange(ACROSS), np.arange(ACROSS)), -1).reshape(-1, 2)
    for start in (cells + rng.random(cells.shape)) * 2 * PANE / ACROSS:
        for angle in rng.uniform(0, 2 * np.pi) + np.arange(6) * np.pi / 3:
            _fern(draw, rng, tuple(start), angle, rng.uniform(0.15, 0.4) * PANE, 3)
    drawn = np.asarray(ferns.resize((PANE, PANE), Pictures.Resampling.BOX)) / 255
    film = np.clip(plasma(rng, PANE, 1.8) * 1.5 - 0.5, 0, 1)
    soft = (drawn / 2 + sum(ndimage.gaussian_filter(drawn, size) for size in (0.7, 2, 6))) / 2
    thick = 0.12 + 0.4 * film + (0.45 + 0.4 * film) * soft
    return np.rint(np.clip(thick[..., None] * ICE, 0, 1) * 255).astype(np.uint8)


def _fern(
    draw: ImageDraw.ImageDraw,
    rng: np.random.Generator,
    start: tuple[float, float],
    angle: float,
    length: float,
    order: int,
) -> None:
    """Draws a needle that bends a little, with shorter ones at 60 degrees on both of its sides, as ice grows."""
    x, y = start
    steps = max(3, int(length / 14)) if order > 1 else 1
    bright = int(rng.uniform(130, 255))
    for number in range(steps):
        angle += rng.normal(0, 0.04)
        before = x, y
        x, y = x + math.cos(angle) * length / steps, y + math.sin(angle) * length / steps
        draw.line([*before, x, y], fill=bright, width=order)
        left = length * (1 - number / steps)
        for side in (-1, 1) if order > 1 else ():
            _fern(draw, rng, (x, y), angle + side * math.pi / 3, left * rng.uniform(0.15, 0.45), order - 1)


def fog(image: Image, rng: np.random.Generator, thick: float, decay: float) -> Image:
    """Adds a plasma fractal, `thick` times as bright as white; the image's brightest value stays what it is."""
    height, width = image.shape[:2]
    brightest = image.max()
    side = 1 << (max(height, width) - 1).bit_length()
    clouds = thick * plasma(rng, side, decay)[:height, :width, None]
    return (image + clouds) * brightest / (brightest + thick)


def plasma(rng: np.random.Generator, side: int, decay: float) -> Float[np.ndarray, "side side"]:
    """Draws a fractal height map in [0, 1] by diamonds and squares, whose borders join.

    Args:
        rng: random numbers.
        side: a power of two.
        decay: by the square of which the steps become lower each time that they are halved.
    """
    heights, rough = np.zeros((1, 1)), ROUGH
    while len(heights) < side:
        noise = lambda rough=rough, shape=heights.shape: rough * rng.uniform(-rough, rough, shape)
        beside = heights + np.roll(heights, -1, 0)
        middle = (beside + np.roll(beside, -1, 1)) / 4 + noise()
        finer = np.empty((2 * len(heights), 2 * len(heights)))
        finer[::2, ::2], finer[1::2, 1::2] = heights, middle
        finer[::2, 1::2] = (middle + np.roll(middle, 1, 0) + heights + np.roll(heights, -1, 1)) / 4 + noise()
        finer[1::2, ::2] = (middle + np.roll(middle, 1, 1) + heights + np.roll(heights, -1, 0)) / 4 + noise()
        heights, rough = finer, rough / decay
    heights -= heights.min()
    return heights / heights.max()


def brightness(image: Image, rng: np.random.Generator, more: float) -> Image:
    """Raises the value of hue, saturation and value: all channels of a pixel by the same factor."""
    value = image.max(axis=-1, keepdims=True)
    raised = np.clip(value + more, 0, 1)
    return np.where(value > 0, image * raised / np.where(value > 0, value, 1), raised)
