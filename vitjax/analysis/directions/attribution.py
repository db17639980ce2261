"""Attributes the logits of one image to the values of a tap, place by place: h_p · d logit / d h_p, for all classes.

Each place is one derivative forward, along its own value, which gives all classes at once; it runs through what comes
after the tap alone (Olah et al. 2018).
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

from vitjax.models.core.execution import Execution
from vitjax.models.core.network import Network

TOGETHER = 16  # derivatives computed side by side
_FORWARD = Execution(attention="products")  # kernels have no forward derivative


def attributions(
    model: Network, image: UInt8[np.ndarray, "h w color"], tap: str, parts: Float[np.ndarray, "part ..."]
) -> Float[np.ndarray, "part class"]:
    """The derivative of every logit along each of some parts of a tap's value; that of the sum is the sum.

    Args:
        model: one with a head.
        image: of the model's size.
        tap: that everything after it depends on.
        parts: each of the shape of the tap's value of one image.
    """
    padded = -(-len(parts) // TOGETHER) * TOGETHER
    filled = np.zeros((padded, *parts.shape[1:]), np.float32)
    filled[: len(parts)] = parts
    chunks = filled.reshape(-1, TOGETHER, *parts.shape[1:])
    return np.asarray(_along(model, image[None] / np.float32(255), chunks, tap=tap))[: len(parts)]


@partial(jax.jit, static_argnames="tap")
def _along(model: Network, image: Array, chunks: Array, *, tap: str) -> Array:
    more = lambda added: {tap: lambda x: x + added.astype(x.dtype)}
    reached = lambda added: model(image, ["logits"], more(added), execution=_FORWARD)["logits"][0]
    _, along = jax.linearize(reached, jnp.zeros(chunks.shape[2:], jnp.float32))
    found = jax.lax.map(jax.vmap(along), chunks)
    return found.reshape(-1, found.shape[-1])
