"""Dense layers from and to several axes, whose products are those of matrices."""

import math
from typing import Any

import jax
from flax import nnx
from jax import lax
from jaxtyping import Array, Float

Axes = int | tuple[int, ...]


def dense(inputs: Axes, outputs: Axes, rngs: nnx.Rngs, use_bias: bool = True) -> nnx.LinearGeneral:
    """A layer from the last axes, `inputs` wide, to axes `outputs` wide; its kernel has all of these axes."""
    axes = tuple(range(-len(inputs), 0)) if isinstance(inputs, tuple) else -1
    return nnx.LinearGeneral(inputs, outputs, axis=axes, use_bias=use_bias, rngs=rngs, dot_general=_by_matrices)


def _by_matrices(x: jax.Array, kernel: jax.Array, dimensions: Any, **options: Any) -> jax.Array:
    """`lax.dot_general` of the last axes of x with the first of a kernel, of whose axes it makes two.

    The gradient's product with a kernel of more axes XLA makes of a transposed copy, in every step.
    """
    (summed, _), _ = dimensions
    wide = math.prod(kernel.shape[: len(summed)])
    rows, columns = x.reshape(*x.shape[: x.ndim - len(summed)], wide), kernel.reshape(wide, -1)
    out = lax.dot_general(rows, columns, (((rows.ndim - 1,), (0,)), ((), ())), **options)
    return out.reshape(*out.shape[:-1], *kernel.shape[len(summed) :])


def unpacked(x: Float[Array, "*batch token part head channel"]) -> list[Float[Array, "*batch token head channel"]]:
    """The parts of what a layer gives, such as q, k and v; their gradients are put side by side, not added up."""
    return [part.squeeze(-3) for part in lax.split(x, [1] * x.shape[-3], axis=x.ndim - 3)]
