"""Dense layers from and to several axes, whose products are those of matrices."""

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import jax
from flax import nnx
from jax import lax
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array, Float

Axes = int | tuple[int, ...]


def dense(inputs: Axes, outputs: Axes, rngs: nnx.Rngs, use_bias: bool = True, *, named: str = "") -> nnx.LinearGeneral:
    """A layer from the last axes, `inputs` wide, to axes `outputs` wide; its kernel has all of these axes.

    `named` is what the backward pass knows its product by, before the bias.
    """
    axes = tuple(range(-len(inputs), 0)) if isinstance(inputs, tuple) else -1
    product = _named(named) if named else _by_matrices
    return nnx.LinearGeneral(inputs, outputs, axis=axes, use_bias=use_bias, rngs=rngs, dot_general=product)


@cache  # layers made alike are alike to `jax.jit`
def _named(name: str) -> Callable[..., jax.Array]:
    return lambda *factors, **options: checkpoint_name(_by_matrices(*factors, **options), name)


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
