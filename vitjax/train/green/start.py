"""What masked image modelling starts from: arrays drawn at random as the authors draw them."""

import math

import jax
import jax.numpy as jnp
from flax import nnx

from vitjax.models.parts.positions import RelativeBias
from vitjax.train.green.decoder import Decoder

STD = 0.02  # of what is drawn from a normal distribution


def initialise(learned: nnx.Module, rngs: nnx.Rngs) -> None:
    """Draws dense layers and convolutions anew, by Xavier and Glorot's uniform rule, with biases of zero.

    Tables of relative positions are drawn from a normal distribution, cut at two standard deviations of 1. The rule
    counts q, k and v of all heads as what one layer gives, and what a convolution reads of a place as its inputs.
    """
    for _, module in nnx.iter_modules(learned):
        if isinstance(module, nnx.Linear | nnx.LinearGeneral | nnx.Conv):
            if isinstance(module, nnx.Conv):
                reads = math.prod(module.kernel_shape[:-1])
                gives = module.out_features
            else:
                reads, gives = _product(module.in_features), _product(module.out_features)
            most = math.sqrt(6 / (reads + gives))
            kernel = module.kernel[...]
            module.kernel[...] = jax.random.uniform(rngs.params(), kernel.shape, kernel.dtype, -most, most)
            if module.bias is not None:
                module.bias[...] = jnp.zeros_like(module.bias[...])
        elif isinstance(module, RelativeBias):
            table = module.distances[...]
            far = 2 / STD  # as timm cuts: at 2, not at two standard deviations
            module.distances[...] = STD * jax.random.truncated_normal(rngs.params(), -far, far, table.shape)
        elif isinstance(module, Decoder):
            module.masked[...] = STD * jax.random.normal(rngs.params(), module.masked.shape)


def _product(features: int | tuple[int, ...]) -> int:
    return math.prod(features) if isinstance(features, tuple) else features
