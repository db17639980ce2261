"""cuDNN's attention: one kernel that writes no scores down, for any number of tokens."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Heads = Float[Array, "batch token head channel"]

CAPABILITY = 8.0  # of the first NVIDIA GPUs that it runs on (A100)
EVEN = 2  # tokens come in pairs
GIVES = "dot_product_attention_fwd_wrapper"  # what JAX calls it: z, and what its gradient takes of the softmax
WIDEST, MULTIPLE = 128, 8  # channels of a head: all such cards take so many


def takes(q: Heads) -> bool:
    """Whether the kernel is made for heads of this dtype and width, and for the cards that are here, if any are."""
    gpus = (device for device in jax.local_devices() if device.platform == "gpu")
    if any(capability(device) < CAPABILITY for device in gpus):
        return False
    return q.dtype.itemsize == 2 and q.shape[-1] <= WIDEST and q.shape[-1] % MULTIPLE == 0


def capability(device: jax.Device) -> float:
    """The compute capability of an NVIDIA GPU, such as 9.0; 0 of any other device."""
    try:
        return float(getattr(device, "compute_capability", 0))
    except ValueError:  # AMD's are called gfx90a
        return 0.0


def attend(q: Heads, k: Heads, v: Heads, seen: int | None = None, *, implementation: str = "cudnn") -> Heads:
    """Gives each query the mean of v that its scores with the keys say.

    An odd number of tokens, as almost every Vision Transformer has, is filled up by one that nobody sees: of even ones
    alone does JAX take the gradient (`Unsupported sequence length Q 197, KV 197`).

    Args:
        q, k, v: [batch, token, head, channel], all of one width; k and v may be of other tokens than q.
        seen: how many of the tokens are more than filling, if q, k and v are filled up already; default all.
        implementation: of `jax.nn.dot_product_attention`, all of which keep to the same lengths.

    Returns:
        [batch, token, head, channel], of as many tokens as q has.
    """
    tokens, queries, keys = q.shape[1], seen or q.shape[1], seen or k.shape[1]
    named = {}
    if queries % EVEN or keys % EVEN:
        q, k, v = filled(q), filled(k), filled(v)
        lengths = (jnp.full(len(q), count, jnp.int32) for count in (queries, keys))
        named = dict(zip(("query_seq_lengths", "key_value_seq_lengths"), lengths, strict=True))
    return jax.nn.dot_product_attention(q, k, v, implementation=implementation, **named)[:, :tokens]


def filled(x: Array) -> Array:
    """Tokens [batch, token, …] filled up to an even number, by zeros."""
    return jnp.pad(x, [(0, x.shape[1] % EVEN if axis == 1 else 0) for axis in range(x.ndim)])
