"""LayerNorm in 16 bits: one pass over the tokens is as true as two."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from vitjax.models.core.config import BlockConfig
from vitjax.models.core.surroundings import key
from vitjax.models.parts.norm import norm


@pytest.mark.parametrize("mean", [0.0, 3.0, 40.0])
def test_layer_norm_in_16_bits_is_as_true_as_in_two_passes(mean):
    ours = norm(BlockConfig(), nnx.Rngs(0), 192)
    twice = nnx.LayerNorm(192, epsilon=ours.epsilon, use_fast_variance=False, rngs=nnx.Rngs(0))
    x, back = (mean + jax.random.normal(jax.random.fold_in(key(0), i), (50, 192)) for i in range(2))
    x = x.astype(jnp.bfloat16)
    half = lambda module: jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), module)

    def both(module: nnx.Module, x: jax.Array) -> list[np.ndarray]:
        y, pull = jax.vjp(module, x)
        return [np.asarray(value, np.float32) for value in (y, *pull(back.astype(y.dtype)))]

    truth = both(twice, x.astype(jnp.float32))
    for mine, theirs, true in zip(both(half(ours), x), both(half(twice), x), truth, strict=True):
        off = lambda value, true=true: np.sqrt(np.square(value - true).mean())
        assert off(mine) <= 1.1 * off(theirs) + 1e-6


def test_layer_norm_in_32_bits_takes_two_passes():
    ours, x = norm(BlockConfig(), nnx.Rngs(0), 192), 1000 + jax.random.normal(key(0), (5, 192))
    twice = nnx.LayerNorm(192, epsilon=ours.epsilon, use_fast_variance=False, rngs=nnx.Rngs(0))
    np.testing.assert_array_equal(ours(x), twice(x))
