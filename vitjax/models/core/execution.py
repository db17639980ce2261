"""Says how a forward pass is carried out where that does not change what it computes: what is kept, which kernels."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
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
        unroll: unroll all blocks that are read, also those read alike, which else are one scan. That takes longer to
            compile; but what is read of one block need not then lie in memory beside that of all others, which makes
            passes over much data faster.
        recompute: False keeps all activations of all blocks for the backward pass, also those that are cheaper to
            compute again; for counting operations.
    """

    remat: bool = False
    attention: str = "auto"
    unroll: bool = False
    recompute: bool = True

    def __post_init__(self):
        if self.attention not in ATTENTIONS:
            raise InputError(f"unknown attention {self.attention!r}: one of {', '.join(ATTENTIONS)}")

    def on(self, platform: str) -> "Execution":
        """The same, for devices of a platform ("cpu", "gpu", "tpu"): only on GPUs is there anything to choose."""
        return replace(self, attention="products") if self.attention == "auto" and platform != "gpu" else self

    def kernel(self, dtype: jnp.dtype) -> Callable[[Heads, Heads, Heads], Heads] | None:
        """Attention from q, k and v to z in one kernel, or None where its scores are to be written down."""
        name = self.attention
        if name == "auto":
            name = "cudnn" if dtype.itemsize == 2 else "products"
        return None if name == "products" else partial(jax.nn.dot_product_attention, implementation=name)

    def kept(self, names: Iterable[str] | None) -> tuple[str, ...] | None:
        """What the backward pass keeps of a block that would have these taps kept: names of taps, None for all."""
        if not self.recompute:
            return None
        return () if self.remat else None if names is None else tuple(names)


ATTENTIONS = ("auto", "products", "xla", "cudnn")
PLAIN = Execution()
OVER_DATA = Execution(unroll=True)  # of passes over much data


def platform(weights: object) -> str:
    """Where computations with these weights run: the platform of their devices, while traced the default's."""
    for leaf in jax.tree.leaves(weights):
        if isinstance(leaf, jax.Array) and not isinstance(leaf, jax.core.Tracer):
            return next(iter(leaf.devices())).platform
    return jax.default_backend()
