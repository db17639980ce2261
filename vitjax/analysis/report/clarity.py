"""Measures what an eye takes for noise: how much energy images have everywhere at once, octave by octave.

Structure is gathered: edges and textures leave places of an image quiet, gratings leave frequencies quiet. Noise fills
both. So its mark at any scale is a high mean *logarithm* of the energy, over places and over frequencies alike; the
logarithm of the mean, which is the power spectrum, cannot tell noise from texture. Flatness over places says what the
kurtosis of band-passed pixels and the coherence of their phases say, at the scale of a place.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from vitjax.analysis.ablations.frequency import distance

OCTAVES = tuple((2 ** (-k / 2 - 1), 2 ** (-k / 2)) for k in (4, 3, 2, 1, 0))  # in Nyquist's unit; they overlap by half
COARSE = slice(3)  # those that end at half of it
WAVES = 2  # the side of a place, in waves of the octave's upper end
SMALL = 16  # side of the thumbnails that find copies
_EVEN = 1e-3  # length of a thumbnail: below it lies rounding
_LEAST = 1e-12  # energy: below what rounding to bytes leaves


def noise_floor(images: Float[Array, "image h w 3"]) -> Float[Array, "image 2 octave"]:
    """The mean logarithm of the energy in each of `OCTAVES`: over places, and over frequencies.

    A place is a square of `WAVES` of the shortest waves, its energy the mean square of the band-passed image in it; the
    energy of a frequency is `|F / (h w)|²`, F the discrete Fourier transform. Both are means over the three channels.
    """
    height, width = images.shape[1:3]
    radius = distance(height, width, "disk")
    transformed = jnp.fft.fft2(images, axes=(1, 2))
    floors = []
    for low, high in OCTAVES:
        inside = (radius > low) & (radius <= high)
        band = jnp.fft.ifft2(transformed * inside[..., None], axes=(1, 2)).real
        side = min(round(2 * WAVES / high), height, width)
        down, across = height // side, width // side
        places = (band[:, : down * side, : across * side] ** 2).reshape(-1, down, side, across, side, 3)
        power = (jnp.abs(transformed / (height * width)) ** 2).mean(axis=-1)[:, *np.nonzero(inside)]
        floors.append([jnp.log(places.mean(axis=(2, 4, 5)) + _LEAST).mean(axis=(1, 2)), _mean_log(power)])
    return jnp.array(floors).transpose(2, 1, 0)


def thumbnail(images: Float[Array, "image h w 3"]) -> Float[Array, "image pixel"]:
    """Images of `SMALL` x `SMALL` grey values of mean 0 and length 1: their products are correlations."""
    height, width = images.shape[1:3]
    down, across = (_averages(side) for side in (height, width))
    small = jnp.einsum("ih,jw,nhw->nij", down, across, images.mean(axis=-1)).reshape(len(images), -1)
    small = small - small.mean(axis=1, keepdims=True)
    return small / jnp.maximum(jnp.linalg.norm(small, axis=1, keepdims=True), _EVEN)


def _mean_log(power: Float[Array, "image frequency"]) -> Float[Array, " image"]:
    return jnp.log(power + _LEAST).mean(axis=1) if power.shape[1] else jnp.zeros(len(power))


def _averages(side: int) -> Float[np.ndarray, "SMALL side"]:
    """Weights that average `side` pixels to `SMALL`, sharing out those on a border."""
    edges, pixel = np.arange(SMALL + 1) * side / SMALL, np.arange(side)
    overlap = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    return (np.clip(overlap, 0, None) * SMALL / side).astype(np.float32)
