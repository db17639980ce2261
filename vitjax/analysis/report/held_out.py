"""Measures units on their pictures, as these stand and under changes that no recipe trains for.

Recipes roll pictures, shift their colours and add noise (`vitjax.optimize.augment`). A picture that holds only under
what it was trained with is fitted to pixels; one that also survives these changes shows something.
"""

import io
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.ndimage import map_coordinates
from jaxtyping import Array, Float, Int, UInt8
from PIL import Image

from vitjax.analysis.study.passes import on_pictures
from vitjax.data.pixels import pillow
from vitjax.models.core.network import Network
from vitjax.units.select import at_tokens

Pictures = Float[Array, "image h w 3"]


@dataclass(frozen=True)
class Responses:
    """What the units of one tap do on pictures, averaged over the tokens that count.

    Attributes:
        scores: of every unit on the pictures as their bytes stand.
        held_out: of each picture's own unit, under each of `CHANGES` and then through JPEG.
    """

    scores: Float[np.ndarray, "picture unit"]
    held_out: Float[np.ndarray, "picture change"]


def warp(images: Pictures, angle: float = 0.0, zoom: float = 1.0) -> Pictures:
    """Turns by `angle` degrees and enlarges by `zoom` about the centre: bilinear, mirrored beyond the border."""
    height, width = images.shape[1:3]
    cos, sin = math.cos(math.radians(angle)) / zoom, math.sin(math.radians(angle)) / zoom
    y, x = jnp.meshgrid(jnp.arange(height) - (height - 1) / 2, jnp.arange(width) - (width - 1) / 2, indexing="ij")
    source = [cos * y + sin * x + (height - 1) / 2, cos * x - sin * y + (width - 1) / 2]
    plane = partial(map_coordinates, coordinates=source, order=1, mode="mirror")
    return jax.vmap(jax.vmap(plane, -1, -1))(images)


def blur(images: Pictures, sigma: float) -> Pictures:
    """Convolves with a Gaussian of standard deviation `sigma` pixels, cut at 3 sigma, mirrored beyond the border."""
    radius = math.ceil(3 * sigma)
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    for axis in (1, 2):
        padded = jnp.pad(images, [(radius, radius) if i == axis else (0, 0) for i in range(4)], mode="reflect")
        shifted = (lax.slice_in_dim(padded, i, i + images.shape[axis], axis=axis) for i in range(len(kernel)))
        images = sum(float(weight) * part for weight, part in zip(kernel, shifted, strict=True))
    return images


def gamma(images: Pictures, power: float) -> Pictures:
    """Raises every value to a power: light that no shift and scale of the colours gives."""
    return images**power


# Mild enough that a person would call the picture the same.
CHANGES: Mapping[str, Callable[[Pictures], Pictures]] = {
    "turned -10": partial(warp, angle=-10),
    "turned -5": partial(warp, angle=-5),
    "turned 5": partial(warp, angle=5),
    "turned 10": partial(warp, angle=10),
    "smaller": partial(warp, zoom=0.9),
    "larger": partial(warp, zoom=1.1),
    "blurred": partial(blur, sigma=1.0),
    "lighter": partial(gamma, power=0.8),
    "darker": partial(gamma, power=1.25),
}
QUALITY = 75  # of the JPEG, which is the last change


def jpeg(images: UInt8[np.ndarray, "image h w 3"], quality: int = QUALITY) -> UInt8[np.ndarray, "image h w 3"]:
    """Takes pictures through JPEG and back."""
    through = np.empty_like(images)
    for i, image in enumerate(images):
        data = io.BytesIO()
        pillow(image[..., :3]).save(data, "jpeg", quality=quality)  # it has no fourth channel, which stays as it is
        through[i] = image
        through[i, ..., :3] = np.asarray(Image.open(data)).reshape(*image.shape[:2], -1)
    return through


def respond(
    model: Network,
    tap: str,
    images: UInt8[np.ndarray, "picture h w 3"],
    units: Int[np.ndarray, " picture"],
    *,
    tokens: str = "patches",
    batch: int = 32,
) -> Responses:
    """Measures pictures of units of one tap.

    Args:
        model: the forward pass stops after `tap`.
        tap: whose units they are.
        images: finished pictures, at the model's size.
        units: the unit of each, in the flattened index space of the tap.
        tokens: which tokens count, as in `Recipe.tokens`.
        batch: pictures that go to the devices together.
    """
    own = units.astype(np.int32)
    return Responses(*on_pictures(model, _respond, images, jpeg(images), own, batch=batch, tap=tap, tokens=tokens))


def _respond(model: Network, images: Array, compressed: Array, units: Array, *, tap: str, tokens: str):
    def scores(form):
        return at_tokens(model(form, tap)[tap], model.taps()[tap], tokens).mean(axis=1)

    forms = jnp.stack([images, *(change(images) for change in CHANGES.values()), compressed / 255.0])
    values = lax.map(scores, forms)  # one form after the other: the memory of one
    own = jnp.take_along_axis(values[1:], units[None, :, None], axis=2)[..., 0]
    return values[0], own.T
