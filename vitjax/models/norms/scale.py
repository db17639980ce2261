"""ScaleNorm: tokens of one length, which is learned."""

import jax
import jax.numpy as jnp
from flax import nnx


class ScaleNorm(nnx.Module):
    """Divides a token by its length and multiplies it by one learned number, at first √C (Nguyen and Salazar 2019).

    y = g x / ‖x‖, and ‖x‖ is at least ε. arXiv 1910.05895.

    Args:
        width: channels, C.
        eps: the least length.
    """

    def __init__(self, width: int, eps: float):
        self.scale, self.eps = nnx.Param(jnp.sqrt(jnp.float32(width))), eps

    def __call__(self, x: jax.Array) -> jax.Array:
        wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        square = jnp.square(wide).sum(axis=-1, keepdims=True)
        over = jax.lax.rsqrt(jnp.maximum(square, self.eps**2))
        return (wide * (over * self.scale[...].astype(wide.dtype))).astype(x.dtype)
