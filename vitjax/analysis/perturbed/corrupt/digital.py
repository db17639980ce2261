"""What digital pictures suffer: less contrast, elastic warps, coarse pixels and JPEG, as ImageNet-C has them."""

import io

import numpy as np
from PIL import Image as Pictures
from scipy import ndimage

from vitjax.analysis.perturbed.corrupt.noise import Image


def contrast(image: Image, rng: np.random.Generator, kept: float) -> Image:
    """Draws every channel towards its mean."""
    mean = image.mean(axis=(0, 1), keepdims=True)
    return (image - mean) * kept + mean


def elastic_transform(image: Image, rng: np.random.Generator, far: float, smooth: float, turn: float) -> Image:
    """Warps the image: three of its points move anywhere, and then every pixel along a smooth random field.

    Args:
        image: as everywhere.
        rng: as everywhere.
        far: what the field, a smoothed one of values from -1 to 1, is multiplied by, in shorter sides.
        smooth: standard deviation of the Gaussian that it is smoothed by, in shorter sides.
        turn: how far the three points move at most along each axis, in shorter sides.
    """
    height, width = image.shape[:2]
    short = min(height, width)
    middle, reach = np.array([width // 2, height // 2], float), short // 3
    points = middle + reach * np.array([(1, 1), (1, -1), (-1, -1)])  # (x, y)
    ends = points + rng.uniform(-turn * short, turn * short, points.shape)
    back = np.linalg.solve(np.c_[ends, np.ones(3)], points)  # where what is seen at (x, y, 1) came from
    fields = [ndimage.gaussian_filter(rng.uniform(-1, 1, (height, width)), smooth * short, truncate=3) for _ in "xy"]
    place = np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1).astype(float)
    affine = lambda place: np.concatenate([place, np.ones((*place.shape[:2], 1))], -1) @ back
    turned = _sampled(image, affine(place), "mirror")
    return _sampled(turned, place + far * short * np.stack(fields, -1), "reflect")


def _sampled(image: Image, place: np.ndarray, mode: str) -> Image:
    """The image at other places (x, y), [h, w, 2], by linear interpolation."""
    at = [place[..., 1], place[..., 0]]
    channels = (ndimage.map_coordinates(channel, at, order=1, mode=mode) for channel in np.moveaxis(image, -1, 0))
    return np.stack([*channels], -1)


def pixelate(image: Image, rng: np.random.Generator, kept: float) -> Image:
    """Makes the image so much smaller by averages, and as large as before by repeating pixels."""
    height, width = image.shape[:2]
    small = _picture(image).resize((max(1, int(width * kept)), max(1, int(height * kept))), Pictures.Resampling.BOX)
    return np.asarray(small.resize((width, height), Pictures.Resampling.BOX)) / 255


def jpeg_compression(image: Image, rng: np.random.Generator, quality: int) -> Image:
    """Writes the image as JPEG of this quality, and reads it."""
    file = io.BytesIO()
    _picture(image).save(file, "JPEG", quality=quality)
    return np.asarray(Pictures.open(file)) / 255


def _picture(image: Image) -> Pictures.Image:
    return Pictures.fromarray(np.rint(image * 255).astype(np.uint8))
