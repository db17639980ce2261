"""How a forward pass is carried out, where that does not change what it computes: memory against time, and kernels."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vitjax.errors import InputError

Heads = Float[Array, "batch token head channel"]


@dataclass(frozen=True)
class Execution:
    """How a model runs.

    Attributes:
        remat: recompute blocks in the backward pass instead of keeping their activations.
        attention: "products" (the scores and their softmax are written down), "xla" or "cudnn" (`jax.nn`'s kernels of
            that name; cuDNN's needs an NVIDIA GPU and 16 bits), or "auto": cuDNN's where it can be.
    """

    remat: bool = False
    attention: str = "auto"

    def __post_init__(self):
        if self.attention not in ATTENTIONS:
            raise InputError(f"unknown attention {self.attention!r}: one of {', '.join(ATTENTIONS)}")

    def kernel(self, dtype: jnp.dtype) -> Callable[[Heads, Heads, Heads], Heads] | None:
        """Attention from q, k and v to z in one kernel, or None where its scores are to be written down."""
        name = self.attention
        if name == "auto":
            name = "cudnn" if jax.default_backend() == "gpu" and dtype.itemsize == 2 else "products"
        return None if name == "products" else partial(jax.nn.dot_product_attention, implementation=name)


ATTENTIONS = ("auto", "products", "xla", "cudnn")
PLAIN = Execution()
