"""Convolutions of each channel by itself, over tokens that stand on a grid: they tell tokens where they are."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax
from jaxtyping import Array, Float

from vitjax.errors import InputError
from vitjax.models.core.tap_site import Places
from vitjax.models.core.taps import Taps


class Depthwise(nnx.Conv):
    """A square convolution of each channel by itself, with a bias, that keeps a map [batch, row, column, channel]."""

    def __init__(self, channels: int, size: int, rngs: nnx.Rngs):
        super().__init__(channels, channels, (size, size), padding=size // 2, feature_group_count=channels, rngs=rngs)


class SmallDepthwise(Depthwise):
    """The same of narrow maps by small kernels, which CPUs take as sums of products of the shifted map.

    XLA's convolution takes them 20 times as long forward, and its gradient within a loop 65 times; on TPUs it takes
    half as long as the sum. Of maps as wide as an MLP's the sum is the slower on CPUs, too.
    """

    def __call__(self, x: Float[Array, "batch row column channel"]) -> Float[Array, "batch row column channel"]:
        return lax.platform_dependent(x, cpu=self._by_shifts, default=super().__call__)

    def _by_shifts(self, x: Array) -> Array:
        (_, rows, columns, _), size, dtype = x.shape, len(self.kernel), jnp.promote_types(x.dtype, self.kernel.dtype)
        wide, pad = jnp.promote_types(dtype, jnp.float32), size // 2
        padded = jnp.pad(x.astype(wide), ((0, 0), (pad, pad), (pad, pad), (0, 0)))
        shifted = lambda down, right: padded[:, down : down + rows, right : right + columns]
        products = (shifted(*at) * self.kernel[(*at, 0)].astype(wide) for at in np.ndindex(size, size))
        return sum(products, self.bias.astype(wide)).astype(dtype)


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
        self.conv, self.places = SmallDepthwise(width, size, rngs), places

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
