"""Softmax with the gradient written down: what JAX derives from its steps passes over the scores more often."""

import jax
import jax.numpy as jnp


@jax.custom_jvp
def softmax(x: jax.Array) -> jax.Array:
    """Exponentials of the last axis over their sum."""
    return jax.nn.softmax(x)


@softmax.defjvp
def _softmax_jvp(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    probs, along = softmax(*primals), tangents[0]
    return probs, probs * (along - jnp.sum(probs * along, axis=-1, keepdims=True))
