"""Convolutions of each channel by itself, over tokens that stand on a grid: they tell tokens where they are."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax
from jaxtyping import Array, Float

from vitjax.errors import InputError
from vitjax.models.core.tap_site import Places
from vitjax.models.core.taps import Taps

SHIFTED = 3  # rows of the largest kernel that CPUs take as products


class Depthwise(nnx.Conv):
    """A square convolution of each channel by itself, of a map [batch, row, column, channel], padded by `size // 2`.

    Args:
        channels: that come in.
        size: rows and columns of the kernel.
        rngs: of the initialisation.
        outputs: channels that come out, a multiple; default as many.
        stride: rows and columns from one place to the next.
        initialised: of `nnx.Conv` about bias and initialisation, where other than its defaults.
    """

    def __init__(
        self,
        channels: int,
        size: int,
        rngs: nnx.Rngs,
        *,
        outputs: int | None = None,
        stride: int = 1,
        **initialised: object,
    ):
        around = {"strides": stride, "padding": size // 2, "feature_group_count": channels}
        super().__init__(channels, outputs or channels, (size, size), rngs=rngs, **around, **initialised)

    def __call__(self, x: Array) -> Array:
        dtype = jnp.promote_types(x.dtype, self.kernel.dtype)
        found = depthwise(x.astype(dtype), self.kernel.astype(dtype), self.strides)
        return found if self.bias is None else found + self.bias.astype(dtype)


def depthwise(
    x: Float[Array, "batch row column channel"], kernel: Float[Array, "size size 1 output"], stride: int = 1
) -> Float[Array, "batch y x output"]:
    """Convolves each channel by itself, padded by `size // 2` zeros.

    CPUs add up products of the shifted map, where these are few: XLA's convolution takes them 20 times as long, and its
    gradient within a loop 65 times. On TPUs the convolution takes half as long.
    """
    convolved = partial(_by_convolution, stride=stride)
    if len(kernel) > SHIFTED:  # whose many products would take long to compile
        return convolved(x, kernel)
    return lax.platform_dependent(x, kernel, cpu=partial(_by_shifts, stride=stride), default=convolved)


def _by_convolution(x: Array, kernel: Array, stride: int) -> Array:
    pad, names = kernel.shape[0] // 2, ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(
        x, kernel, (stride, stride), [(pad, pad)] * 2, dimension_numbers=names, feature_group_count=x.shape[-1]
    )


def _by_shifts(x: Array, kernel: Array, stride: int) -> Array:
    size, wide = kernel.shape[0], jnp.promote_types(x.dtype, jnp.float32)
    kernel, pad = kernel[:, :, 0].astype(wide), size // 2
    rows, columns = ((side + 2 * pad - size) // stride + 1 for side in x.shape[1:3])
    padded = jnp.pad(x.astype(wide), ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    if kernel.shape[-1] != x.shape[-1]:
        padded = jnp.repeat(padded, kernel.shape[-1] // x.shape[-1], axis=-1)
    reach = lambda start, count: slice(start, start + stride * (count - 1) + 1, stride)
    shifted = lambda down, right: padded[:, reach(down, rows), reach(right, columns)]
    return sum(shifted(*at) * kernel[at] for at in np.ndindex(size, size)).astype(x.dtype)


class ConvPositions(nnx.Module):
    """Adds to each token on the grid a convolution of those around it, [batch, token, channel] to the same.

    Tokens before the grid stay as they are. Source: conditional positions, CPVT (Chu et al. 2021, arXiv 2102.10882),
    as Twins and CoaT have them.

    Args:
        width: channels of a token.
        places: that the tokens stand on.
        rngs: of the initialisation.
        size: of the convolution's kernel.
    """

    def __init__(self, width: int, places: Places, rngs: nnx.Rngs, size: int = 3):
        self.conv, self.places = Depthwise(width, size, rngs), places

    def __call__(self, x: jax.Array) -> jax.Array:
        before, grid = apart(x, self.places)
        return together(before, grid + self.conv(grid))


class ConvMixer(nnx.Module):
    """Mixes hidden units of an MLP with those of the tokens around, by a convolution of each, [batch, token, channel].

    Its tap `wide` is what the convolution reads. Source: PVT v2 (Wang et al. 2021, arXiv 2106.13797).

    Args:
        width: hidden units.
        places: that the tokens stand on.
        rngs: of the initialisation.
        rectified: whether negative numbers are zero before the convolution, as in its linear variant.
    """

    def __init__(self, width: int, places: Places, rngs: nnx.Rngs, rectified: bool = False):
        self.conv, self.places, self.rectified = Depthwise(width, 3, rngs), places, rectified

    def __call__(self, x: jax.Array, taps: Taps) -> jax.Array:
        before, grid = apart(taps("wide", jax.nn.relu(x) if self.rectified else x, "token channel"), self.places)
        return together(before, self.conv(grid))


def apart(x: jax.Array, places: Places) -> tuple[jax.Array, jax.Array]:
    """Splits tokens [batch, token, ...] into those before the grid, and the map [batch, row, column, ...].

    Raises:
        InputError: another number of tokens than stand on the places.
    """
    rows, columns = places.grid
    if x.shape[1] != places.prefix + rows * columns:
        raise InputError("tokens cannot be dropped from this model: convolutions read them as a map")
    return x[:, : places.prefix], x[:, places.prefix :].reshape(len(x), rows, columns, *x.shape[2:])


def together(before: jax.Array, grid: jax.Array) -> jax.Array:
    """Puts tokens before those of a map [batch, row, column, ...]: [batch, token, ...]."""
    return jnp.concatenate([before, grid.reshape(len(grid), -1, *grid.shape[3:])], axis=1)
