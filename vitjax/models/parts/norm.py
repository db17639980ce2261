"""Normalisation of channels, by the name that a config gives it."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx

from vitjax.errors import InputError, nearest
from vitjax.models.core.config import BlockConfig

Grid = tuple[int, int] | None
Make = Callable[[int, BlockConfig, Grid, nnx.Rngs], nnx.Module]


def layer_norm(width: int, config: BlockConfig, grid: Grid, rngs: nnx.Rngs) -> nnx.LayerNorm:
    """LayerNorm with the two-pass variance of the source libraries."""
    return nnx.LayerNorm(width, epsilon=config.norm_eps, use_fast_variance=False, rngs=rngs)


class Affine(nnx.Module):
    """Scales and shifts each channel by what is learned, whatever the tokens are (ResMLP, arXiv 2105.03404)."""

    def __init__(self, width: int):
        self.scale, self.bias = nnx.Param(jnp.ones(width)), nnx.Param(jnp.zeros(width))

    def __call__(self, x: jax.Array) -> jax.Array:
        return x * self.scale[...] + self.bias[...]


# Makes a norm of so many channels, for tokens that stand on a grid where that is known; by `BlockConfig.norm`.
NORMS: dict[str, Make] = {"layer": layer_norm, "affine": lambda width, config, grid, rngs: Affine(width)}


def norm(config: BlockConfig, rngs: nnx.Rngs, width: int | None = None, grid: Grid = None) -> nnx.Module:
    """The norm that the config names, over the model's channels or over `width` of them.

    Args:
        config: its `norm` is a key of `NORMS`.
        rngs: of the initialisation.
        width: channels; default the config's.
        grid: (rows, columns) of the tokens that it will see, for norms that depend on where a token is.

    Raises:
        InputError: an unknown norm.
    """
    if config.norm not in NORMS:
        raise InputError(f"unknown norm {config.norm!r}{nearest(config.norm, NORMS)}")
    return NORMS[config.norm](width or config.width, config, grid, rngs)


class FrozenBatchNorm(nnx.Module):
    """Batch normalisation by statistics that training left behind: an affine map of each channel."""

    def __init__(self, channels: int, eps: float):
        self.mean, self.bias = nnx.Param(jnp.zeros(channels)), nnx.Param(jnp.zeros(channels))
        self.variance, self.scale = nnx.Param(jnp.ones(channels)), nnx.Param(jnp.ones(channels))
        self.eps = eps

    def __call__(self, x: jax.Array) -> jax.Array:
        wide = jnp.promote_types(x.dtype, jnp.float32)
        mean, bias, variance, scale = (
            part[...].astype(wide) for part in (self.mean, self.bias, self.variance, self.scale)
        )
        return ((x - mean) * (scale * jax.lax.rsqrt(variance + self.eps)) + bias).astype(x.dtype)
