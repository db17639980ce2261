"""The MLP of a Transformer block, whose hidden units are the network's neurons."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx

from vitjax.models.core.config import BlockConfig
from vitjax.models.core.execution import PRODUCT
from vitjax.models.core.taps import Taps
from vitjax.models.kernels.dense import dense
from vitjax.models.parts.norm import norm


def gelu(x: jax.Array) -> jax.Array:
    """x times the normal distribution's integral up to x, by erf: JAX's own form takes erfc, at twice the time."""
    return 0.5 * x * (1 + jax.lax.erf(x * 0.5**0.5))


ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "gelu": gelu,
    "gelu_tanh": partial(jax.nn.gelu, approximate=True),
    "quick_gelu": lambda x: x * jax.nn.sigmoid(1.702 * x),
    "silu": jax.nn.silu,
    "hard_swish": jax.nn.hard_swish,
}


class Mlp(nnx.Module):
    """Two dense layers around an activation function; the units of `hidden` are the network's neurons.

    `hidden` is what the second layer reads, so after its norm. In a gated MLP `pre` is [gate, up], and a neuron is
    activation(gate) · up (arXiv 2002.05202).

    Args:
        config: of the block.
        rngs: of the initialisation.
        mixer: what is done to the hidden units between the first layer and `pre`, a function (tokens, taps) to tokens.
    """

    def __init__(self, config: BlockConfig, rngs: nnx.Rngs, mixer: nnx.Module | None = None):
        wide = (2, config.mlp_width) if config.gated else config.mlp_width
        self.fc1 = dense(config.width, wide, rngs, named=PRODUCT if mixer is None else "")
        self.fc2 = nnx.Linear(config.mlp_width, config.width, rngs=rngs)
        if config.mlp_norm:
            self.norm = norm(config, rngs, config.mlp_width)
        self.activation, self.gated, self.normed = config.activation, config.gated, config.mlp_norm
        self.mixer = mixer

    def __call__(self, x: jax.Array, taps: Taps) -> jax.Array:
        axes = "token channel" if x.ndim == 3 else "channel"
        wide = self.fc1(x).reshape(*x.shape[:-1], -1)
        pre = taps("pre", wide if self.mixer is None else self.mixer(wide, taps), axes)
        gate, *up = jnp.split(pre, 2, axis=-1) if self.gated else [pre]
        hidden = ACTIVATIONS[self.activation](gate)
        hidden = hidden * up[0] if self.gated else hidden
        return self.fc2(taps("hidden", self.norm(hidden) if self.normed else hidden, axes, before="pre"))
