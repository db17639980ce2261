"""Dense layers in bfloat16 with float32 sums where CPUs have such products (AMX), several times as fast as float32.

Only the operands of products are rounded, forward and backward; weights and activations stay float32. XLA for CPUs has
fast code for a bfloat16 product whose result is asked for in float32, and of the backward pass's three forms only where
no operand is transposed along the summed axis: the smaller one is turned first, and told to stay so in memory.
"""

import math
from typing import TypeVar

import jax
import jax.numpy as jnp
from flax import nnx
from jax.experimental.layout import Layout, with_layout_constraint

Module = TypeVar("Module", bound=nnx.Module)


def in_bfloat16(model: Module) -> Module:
    """Has the dense layers of a model, or of any module, multiply in bfloat16; gives the model."""
    for _, part in nnx.iter_modules(model):
        if isinstance(part, nnx.Linear | nnx.LinearGeneral):
            part.dot_general = dot_general
    return model


def dot_general(x: jax.Array, kernel: jax.Array, dimension_numbers: tuple, precision=None, **_) -> jax.Array:
    """`lax.dot_general` of the last axes of x with the first of a kernel, which is all that dense layers ask for."""
    summed = len(dimension_numbers[0][1])
    flat = kernel.reshape(math.prod(kernel.shape[:summed]), -1)
    return product(x.reshape(-1, len(flat)), flat).reshape(*x.shape[: x.ndim - summed], *kernel.shape[summed:])


@jax.custom_vjp
def product(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """[row, in] by [in, out], float32 of bfloat16."""
    return _forward(x, kernel)[0]


def _forward(x: jax.Array, kernel: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    x, kernel = x.astype(jnp.bfloat16), kernel.astype(jnp.bfloat16)
    return _sum(x, kernel), (x, kernel)


def _backward(kept: tuple[jax.Array, jax.Array], grad: jax.Array) -> tuple[jax.Array, jax.Array]:
    (x, kernel), grad = kept, grad.astype(jnp.bfloat16)
    of_x = jnp.einsum("ro,io->ri", grad, kernel, preferred_element_type=jnp.float32)
    if x.shape[1] <= grad.shape[1]:
        return of_x, _sum(_turned(x), grad)
    return of_x, _turned(_sum(_turned(grad), x))


def _sum(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.matmul(a, b, preferred_element_type=jnp.float32)


def _turned(x: jax.Array) -> jax.Array:
    """The transpose, written down as such: what is left to the compiler is folded into the product, which slows it."""
    rows = Layout((0, 1))
    return with_layout_constraint(with_layout_constraint(x, rows).T, rows)


product.defvjp(_forward, _backward)
