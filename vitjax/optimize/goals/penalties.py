"""What pictures pay for beside their activation: total variation, and likeness to each other."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

TINY = 1e-24  # added to the square of a length that is divided by


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


def gram_likeness(values: Float[Array, "slot view *places channel"], variants: int) -> Float[Array, " slot"]:
    """How alike the textures of variants are: each one's cosines with the others' Gram matrices, summed over these.

    A Gram matrix is of channels, summed over views and places; of alike pictures it tells them as alike wherever things
    are. The mean over slots is Lucid's `diversity` (`optvis/objectives.py`): of N equal pictures N - 1.

    Args:
        values: features of their views.
        variants: at least 2.
    """
    features = values.reshape(len(values), -1, values.shape[-1]).astype(jnp.float32)
    grams = jnp.einsum("spc,spd->scd", features, features).reshape(len(values), -1)
    grams = grams * jax.lax.rsqrt(jnp.sum(grams * grams, axis=1, keepdims=True) + TINY)
    grams = grams.reshape(-1, variants, grams.shape[-1])
    return (jnp.einsum("gvc,gwc->gvw", grams, grams).sum(axis=2) - 1).reshape(-1)


DIVERSITY = {"mean": likeness, "gram": gram_likeness}  # by the name that a recipe gives


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
