"""Pictures from their Fourier coefficients: by products on TPUs, whose own transform takes twice as long, else FFT."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float


def irfft2(
    real: Float[Array, "h half channel"], imaginary: Float[Array, "h half channel"], size: tuple[int, int]
) -> Float[Array, "h w channel"]:
    """`numpy.fft.irfft2` over the first two axes, of coefficients given as two arrays of real numbers.

    Which way it is computed is decided where the program is lowered, by the platform that it is lowered for.

    Args:
        real: of the coefficients; `half` is w // 2 + 1.
        imaginary: of the coefficients.
        size: (h, w) of the picture.
    """
    by_products = lambda *parts: _by_products(*parts, size)
    by_fft = lambda *parts: jnp.fft.irfft2(lax.complex(*parts), size, axes=(0, 1))
    return lax.platform_dependent(real, imaginary, tpu=by_products, default=by_fft)


def _by_products(real: jax.Array, imaginary: jax.Array, size: tuple[int, int]) -> jax.Array:
    (cos_y, sin_y), (cos_x, sin_x) = _waves(size[0]), _half_waves(size[1])
    product = lambda axes, *factors: jnp.einsum(axes, *factors, precision=lax.Precision.HIGHEST)
    along = "yv,vuc->yuc"
    re = product(along, cos_y, real) - product(along, sin_y, imaginary)
    im = product(along, sin_y, real) + product(along, cos_y, imaginary)
    return product("yuc,ux->yxc", re, cos_x) - product("yuc,ux->yxc", im, sin_x)


def _waves(length: int) -> tuple[np.ndarray, np.ndarray]:
    """Cosines and sines of every frequency at every place, over the length."""
    turns = np.outer(np.arange(length), np.arange(length)) % length / length  # exact: far turns are none
    return _parts(turns, 1 / length)


def _half_waves(length: int) -> tuple[np.ndarray, np.ndarray]:
    """The same of frequencies up to half, each of which stands for its mirror image, too, where it has one."""
    frequencies = np.arange(length // 2 + 1)
    turns = np.outer(frequencies, np.arange(length)) % length / length
    alone = (frequencies == 0) | (2 * frequencies == length)
    return _parts(turns, np.where(alone, 1, 2)[:, None] / length)


def _parts(turns: np.ndarray, scale: float | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    angles = 2 * np.pi * turns
    return (np.cos(angles) * scale).astype(np.float32), (np.sin(angles) * scale).astype(np.float32)
