"""What a picture is optimised for: the activation of a unit or along a direction, and the total variation it pays."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from vitjax.errors import InputError
from vitjax.models.core.config import ViTConfig
from vitjax.models.core.vocabulary import PLACES, axes
from vitjax.models.registry import Config
from vitjax.optimize.recipes import PATCH
from vitjax.units.units import Cosine, Direction, Unit, feature_shape

TINY = 1e-24  # added to the square of a length that is divided by


class Angle(NamedTuple):
    """The vectors of `Cosine`s."""

    vector: Float[Array, "*slot feature"]


def targets(goals: Sequence[Unit | Direction], shape: tuple[int, ...]) -> np.ndarray | Angle:
    """What the slots of one tap aim at, as the loop takes it; `shape` is the tap's, per image.

    Returns:
        int32 [slot], each unit's place in the flattened index space, or for directions float32 [slot, feature],
        within an `Angle` if they are `Cosine`s.
    """
    sizes = feature_shape(goals[0].tap, shape)
    if isinstance(goals[0], Unit):
        return np.array([np.ravel_multi_index(goal.index, sizes) for goal in goals], np.int32)
    for goal in goals:
        check_vector(goal)
        if np.size(goal.vector) != math.prod(sizes):
            raise InputError(
                f"{goal}: the direction has {np.size(goal.vector)} numbers, {goal.tap} has {math.prod(sizes)}"
            )
    vectors = np.stack([np.reshape(goal.vector, -1) for goal in goals]).astype(np.float32)
    return Angle(vectors) if isinstance(goals[0], Cosine) else vectors


def check_vector(goal: Direction) -> None:
    """Raises an InputError for a vector that is none: other things than numbers, NaN, infinity, or zeros alone."""
    vector = np.asarray(goal.vector)
    if not jnp.issubdtype(vector.dtype, jnp.integer) and not jnp.issubdtype(vector.dtype, jnp.floating):
        raise InputError(f"{goal}: the direction is {vector.dtype}, it must be real numbers")
    if not np.isfinite(vector).all() or not vector.any():
        raise InputError(
            f"{goal}: the direction has {'only zeros' if not vector.any() else 'numbers that are not finite'}"
        )


def activation(values: Array, tap: str, target: Array | Angle, tokens: str, config: Config) -> Float[Array, " image"]:
    """The activation of one target on each image, averaged over tokens.

    Args:
        values: the tap's value, [image, *axes].
        tap: its name, which says where the token axis is.
        target: an integer, the unit's place in the flattened index space, or a direction in that space [feature],
            bare or as an `Angle`.
        tokens: "patches", "class", "all" or "patch N", as in `Recipe.tokens`.
        config: the model's, which says how many tokens stand before the patches.
    """
    values = at_tokens(values, tap, tokens, config)
    if isinstance(target, Angle):
        along = values @ target.vector * jax.lax.rsqrt(jnp.sum(values * values, axis=-1) + TINY)
    else:
        along = values[..., target] if jnp.issubdtype(target.dtype, jnp.integer) else values @ target
    return along.mean(axis=1)


def at_tokens(values: Array, tap: str, tokens: str, config: Config) -> Float[Array, "image token unit"]:
    """A tap's value at the tokens that count, its other axes as one of units; a tap without tokens has one.

    The tokens of a map are its places, row by row.

    Arguments as of `activation`.
    """
    where = PLACES & set(axes(tap))
    if not where:
        return values.reshape(len(values), 1, -1).astype(jnp.float32)
    places = math.prod(values.shape[1 : 1 + len(where)])
    return values.reshape(len(values), places, -1)[:, token_span(tokens, config)].astype(jnp.float32)


def token_span(tokens: str, config: Config) -> slice:
    """The tokens that count, as a slice of the token axis."""
    if tokens == "class":
        if not config.class_token:
            raise InputError("tokens='class': this model has no class token; use tokens='patches'")
        return slice(0, 1)
    if tokens == "all":
        return slice(None)
    if tokens == "patches":
        return slice(config.prefix, None)
    if not isinstance(tokens, str) or not (number := PATCH.fullmatch(tokens)):
        raise InputError(f"unknown tokens {tokens!r}: write patches, class, all or 'patch N'")
    if not isinstance(config, ViTConfig):
        raise InputError(f"tokens={tokens!r}: the maps of this model have different sizes; use tokens='patches'")
    patch = int(number[1])
    if patch >= config.patches:
        raise InputError(f"tokens='patch {patch}' is out of range, this model has {config.patches} patches")
    return slice(config.prefix + patch, config.prefix + patch + 1)


def likeness(values: Float[Array, "slot view *places channel"], variants: int) -> Float[Array, " slot"]:
    """How alike the variants of a unit, `variants` slots after each other, are: each one's mean cosine with the others.

    Args:
        values: features of their views; their mean over views and places is what is compared.
        variants: at least 2.
    """
    means = values.reshape(len(values), -1, values.shape[-1]).astype(jnp.float32).mean(axis=1)
    means = means * jax.lax.rsqrt(jnp.sum(means * means, axis=1, keepdims=True) + TINY)
    means = means.reshape(-1, variants, means.shape[-1])
    cosines = jnp.einsum("gvc,gwc->gvw", means, means)
    return ((cosines.sum(axis=2) - 1) / (variants - 1)).reshape(-1)


def total_variation(images: Float[Array, "*n h w c"]) -> Float[Array, "*n c"]:
    """Sum over four directions of the L2 norm of the whole difference image, for each image and channel.

    Not squared, not circular: right, down and both diagonals; the loss has its mean over images and channels
    (Ghiasi et al., `loss/regularizers/image.py`). An image `a * x + b` has |a| times that of x.
    """
    rows, columns = images[..., 1:, :, :], images[..., :, 1:, :]
    differences = (
        columns - images[..., :, :-1, :],
        rows - images[..., :-1, :, :],
        images[..., 1:, 1:, :] - images[..., :-1, :-1, :],
        images[..., 1:, :-1, :] - images[..., :-1, 1:, :],
    )
    return sum(_norm(jnp.sum(d * d, axis=(-3, -2))) for d in differences)


def _norm(squared: jax.Array) -> jax.Array:
    """Square root whose gradient at 0 is 0, as torch has it, where JAX gives NaN."""
    positive = squared > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, squared, 1.0)), 0.0)
