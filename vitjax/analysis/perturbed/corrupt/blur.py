"""Blur: out of focus, through frosted glass, in motion and zooming, as ImageNet-C has them; see `noise` for arguments.

Motion blur is ImageMagick's, rebuilt from its definition: half a Gaussian along a line, on whole pixels.
"""

import numpy as np
from jaxtyping import Float
from scipy import ndimage, signal

from vitjax.analysis.perturbed.corrupt.noise import Image

Layer = Float[np.ndarray, "h w *channel"]
WIDEST = 8  # radius of the largest disk that is drawn on the small grid


def defocus_blur(image: Image, rng: np.random.Generator, radius: float, smooth: float) -> Image:
    """Spreads every point over a disk of `radius` pixels, whose edge is smoothed by a Gaussian of `smooth` pixels."""
    kernel = disk(radius, smooth)
    rim = len(kernel) // 2
    padded = np.pad(image, ((rim, rim), (rim, rim), (0, 0)), "reflect")
    return signal.fftconvolve(padded, kernel[..., None], "valid", axes=(0, 1))


def disk(radius: float, smooth: float) -> Float[np.ndarray, "side side"]:
    """A disk that sums to 1, its edge smoothed over 3 pixels, or 5 if it is larger than `WIDEST`."""
    reach, taps = (WIDEST, 1) if radius <= WIDEST else (int(radius), 2)
    places = np.arange(-reach, reach + 1)
    inside = (places[:, None] ** 2 + places**2 <= radius**2).astype(float)
    weights = np.exp(-(np.arange(-taps, taps + 1) ** 2) / (2 * smooth**2))
    for axis in (0, 1):
        inside = ndimage.correlate1d(inside, weights / weights.sum(), axis, mode="mirror")
    return inside / inside.sum()


def glass_blur(image: Image, rng: np.random.Generator, sigma: float, reach: int, rounds: int) -> Image:
    """Smooths, lets each pixel take the place of one nearby, from the last to the first, and smooths again.

    The authors' code means to swap two pixels, but has the one take the other's value; so ImageNet-C has it, and this.
    """
    smooth = lambda image: ndimage.gaussian_filter(image, sigma, mode="nearest", axes=(0, 1))
    height, width = image.shape[:2]
    source = list(range(height * width))
    down, across = np.arange(height - reach, reach, -1), np.arange(width - reach, reach, -1)
    at = (down[:, None] * width + across).ravel()
    for _ in range(rounds):
        moves = rng.integers(-reach, reach, (len(at), 2))
        for here, there in zip(at.tolist(), (at + moves[:, 1] * width + moves[:, 0]).tolist(), strict=True):
            source[here] = source[there]
    moved = np.floor(smooth(image) * 255).reshape(-1, image.shape[-1])[source] / 255
    return smooth(moved.reshape(image.shape))


def motion_blur(image: Image, rng: np.random.Generator, radius: int, sigma: float) -> Image:
    """Blurs along a line, at most 45 degrees off the horizontal."""
    return moved(image, radius, sigma, rng.uniform(-45, 45))


def moved(layer: Layer, radius: int, sigma: float, degrees: float) -> Layer:
    """Blurs along a line on one side of every pixel, by half a Gaussian that is cut off after `2 * radius` pixels.

    What lies beyond the image's edge is like the edge.
    """
    steps = np.arange(2 * radius + 1)
    weights = np.exp(-(steps**2) / (2 * sigma**2))
    angle = np.deg2rad(degrees)
    down, across = (np.ceil(steps * part - 0.5).astype(int) for part in (np.sin(angle), np.cos(angle)))
    rim, (height, width) = 2 * radius + 1, layer.shape[:2]
    padded = np.pad(layer, ((rim, rim), (rim, rim), *[(0, 0)] * (layer.ndim - 2)), "edge")
    found = np.zeros_like(layer)
    for weight, y, x in zip(weights / weights.sum(), rim + down, rim + across, strict=True):
        found += weight * padded[y : y + height, x : x + width]
    return found


def zoom_blur(image: Image, rng: np.random.Generator, most: float, step: float) -> Image:
    """Averages the image with itself, magnified by 1, 1 + `step`, … to just below `most`."""
    factors = np.arange(1, most, step)
    return (image + sum(magnified(image, factor) for factor in factors)) / (len(factors) + 1)


def magnified(layer: Layer, factor: float) -> Layer:
    """Magnifies the middle of an image by linear interpolation, as scipy's `zoom` does at twenty times the cost."""
    for axis, side in enumerate(layer.shape[:2]):
        cut = int(np.ceil(side / factor))
        large = round(cut * factor)
        place = (np.arange(side) + (large - side) // 2) * ((cut - 1) / max(large - 1, 1))
        low = np.minimum(place.astype(int), max(cut - 2, 0))
        share = np.expand_dims(place - low, [*range(axis), *range(axis + 1, layer.ndim)])
        low += (side - cut) // 2
        layer = layer.take(low, axis) * (1 - share) + layer.take(np.minimum(low + 1, side - 1), axis) * share
    return layer
