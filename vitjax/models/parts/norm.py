"""Normalisation of channels, by the name that a config gives it."""

from collections.abc import Callable
from functools import partial
from math import gcd
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax.ad_checkpoint import checkpoint_name

from vitjax.errors import InputError, nearest
from vitjax.models.core.config import BlockConfig
from vitjax.models.core.execution import Execution
from vitjax.models.norms.batch import BatchNorm, PowerNorm, SwitchableNorm
from vitjax.models.norms.dtn import PAPER, PRESETS, Preset, TokenNorm
from vitjax.models.norms.scale import ScaleNorm

STATISTICS = "norm.statistics"  # what the backward pass may keep of a norm
GROUPS = 32  # of channels
Grid = tuple[int, ...] | None
Make = Callable[[int, BlockConfig, Grid, nnx.Rngs], nnx.Module]


class LayerNorm(nnx.LayerNorm):
    """LayerNorm with the two-pass variance of the source libraries; of tokens in 16 bits in one pass, no worse.

    Rounding to 16 bits has then moved the variance by 2^-18 of the mean's square, its float32 sum of squares moves it
    by 2^-23. What the sums give has a name, for the backward pass to keep: a thousandth of the tokens' own size.
    """

    def __call__(self, x: jax.Array) -> jax.Array:
        if x.dtype.itemsize != 2 or self.scale.dtype != x.dtype:
            return super().__call__(x)
        wide = x.astype(jnp.float32)
        mean = checkpoint_name(wide.mean(axis=-1, keepdims=True), STATISTICS)
        square = checkpoint_name(jnp.square(wide).mean(axis=-1, keepdims=True), STATISTICS)
        spread = jax.lax.rsqrt(jnp.maximum(square - jnp.square(mean), 0) + self.epsilon)
        return ((wide - mean) * (spread * self.scale[...]) + self.bias[...]).astype(x.dtype)


def layer_norm(width: int, config: BlockConfig, grid: Grid, rngs: nnx.Rngs) -> nnx.LayerNorm:
    """LayerNorm of so many channels."""
    return LayerNorm(width, epsilon=config.norm_eps, use_fast_variance=False, rngs=rngs)


def instance_norm(width: int, config: BlockConfig, grid: Grid, rngs: nnx.Rngs) -> nnx.InstanceNorm:
    """Instance normalization: each channel of an image by its mean and variance over tokens (arXiv 1607.08022)."""
    return nnx.InstanceNorm(width, epsilon=config.norm_eps, use_fast_variance=False, rngs=rngs)


def group_norm(width: int, config: BlockConfig, grid: Grid, rngs: nnx.Rngs) -> nnx.GroupNorm:
    """Group normalization: groups of an image's channels by their mean and variance over tokens (arXiv 1803.08494).

    There are 32 groups, or where the channels do not split into these, as many as divide both.
    """
    groups = gcd(GROUPS, width)
    return nnx.GroupNorm(width, groups, epsilon=config.norm_eps, use_fast_variance=False, rngs=rngs)


class Affine(nnx.Module):
    """Scales and shifts each channel by what is learned, whatever the tokens are (ResMLP, arXiv 2105.03404)."""

    def __init__(self, width: int):
        self.scale, self.bias = nnx.Param(jnp.ones(width)), nnx.Param(jnp.zeros(width))

    def __call__(self, x: jax.Array) -> jax.Array:
        return x * self.scale[...] + self.bias[...]


def token_norm(width: int, config: BlockConfig, grid: Grid, rngs: nnx.Rngs, preset: Preset = PAPER) -> TokenNorm:
    """Dynamic Token Normalization of so many channels, with as many heads as attention has."""
    own = type(rngs)(rngs.params())
    rngs.params()  # two in all, as LayerNorm takes: under either all else of a model begins alike
    return TokenNorm(width, config.norm_heads, grid, own, config.norm_eps, preset)


class Row(NamedTuple):
    """A norm by its name.

    Attributes:
        make: makes one of so many channels, for tokens that stand on a grid where that is known.
        across: whether its statistics are of several tokens; then it stands in blocks of patches alone, and LayerNorm
            where tokens come with a class token, between stages and after the last block.
    """

    make: Make
    across: bool = False


# By `BlockConfig.norm`.
NORMS: dict[str, Row] = {
    "layer": Row(layer_norm),
    "affine": Row(lambda width, config, grid, rngs: Affine(width)),
    "scale": Row(lambda width, config, grid, rngs: ScaleNorm(width, config.norm_eps)),
    "batch": Row(lambda width, config, grid, rngs: BatchNorm(width, config.norm_eps), across=True),
    "switchable": Row(lambda width, config, grid, rngs: SwitchableNorm(width, config.norm_eps), across=True),
    "power": Row(lambda width, config, grid, rngs: PowerNorm(width, config.norm_eps), across=True),
    "instance": Row(instance_norm, across=True),
    "group": Row(group_norm, across=True),
    **{name: Row(partial(token_norm, preset=preset), across=True) for name, preset in PRESETS.items()},
}


def norm(config: BlockConfig, rngs: nnx.Rngs, width: int | None = None, grid: Grid = None) -> nnx.Module:
    """The norm that the config names, over the model's channels or over `width` of them.

    Args:
        config: its `norm` is a key of `NORMS`.
        rngs: of the initialisation.
        width: channels; default the config's.
        grid: (rows, columns) of the tokens of a block, if it has no others; (tokens,) of a sequence. Without, there is
            LayerNorm where the config names a norm across tokens.

    Raises:
        InputError: an unknown norm.
    """
    row = _row(config.norm)
    row = NORMS["layer"] if row.across and grid is None else row
    return row.make(width or config.width, config, grid, rngs)


def across_tokens(name: str) -> bool:
    """Whether a norm's statistics are of several tokens.

    Raises:
        InputError: an unknown norm.
    """
    return _row(name).across


def check_single(name: str, why: str) -> None:
    """Checks that a norm has statistics of single tokens, for a model in whose blocks no other may stand.

    Args:
        name: of the norm.
        why: there may be none, and what to do.

    Raises:
        InputError: it has statistics across tokens, or there is none of this name.
    """
    if across_tokens(name):
        raise InputError(f"norm {name!r} takes statistics over patches, {why}")


def among(norm: nnx.Module, places: jax.Array | None, execution: Execution) -> Callable[[jax.Array], jax.Array]:
    """The norm of a block, told on which places of its grid the tokens stand, None for all, and how it runs.

    Args:
        norm: any; only DTN asks.
        places: see `TokenNorm`.
        execution: see there.
    """
    return partial(norm, places=places, execution=execution) if isinstance(norm, TokenNorm) else norm


def _row(name: str) -> Row:
    if name not in NORMS:
        raise InputError(f"unknown norm {name!r}{nearest(name, NORMS)}")
    return NORMS[name]


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
