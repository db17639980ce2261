"""A convolution of each channel by itself, which platforms compute in two ways."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from vitjax.models.parts.depthwise import Depthwise, SmallDepthwise


def pair(size: int, dtype: str) -> tuple[Depthwise, SmallDepthwise]:
    """The convolution of XLA and the sum of products, with the same parameters."""
    rng = np.random.default_rng(0)
    found = Depthwise(4, size, nnx.Rngs(0)), SmallDepthwise(4, size, nnx.Rngs(0))
    kernel, bias = (jnp.asarray(rng.normal(size=shape), dtype) for shape in ((size, size, 1, 4), (4,)))
    for conv in found:
        conv.kernel, conv.bias = nnx.Param(kernel), nnx.Param(bias)
    return found


@pytest.mark.parametrize("size", [3, 5])
def test_equals_xlas_convolution_and_its_gradients(size):
    rng = np.random.default_rng(1)
    with jax.enable_x64(True):
        x, change = (jnp.asarray(rng.normal(size=(2, 7, 6, 4))) for _ in range(2))
        theirs, ours = (jax.vjp(lambda conv, x: conv(x), conv, x) for conv in pair(size, "float64"))
        np.testing.assert_allclose(ours[0], theirs[0], atol=1e-13)
        for mine, other in zip(jax.tree.leaves(ours[1](change)), jax.tree.leaves(theirs[1](change)), strict=True):
            np.testing.assert_allclose(mine, other, atol=1e-12)


def test_adds_up_in_float32():
    x = jnp.asarray(np.random.default_rng(1).normal(size=(1, 8, 8, 4)), jnp.bfloat16)
    _, ours = pair(3, "bfloat16")
    theirs = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), pair(3, "bfloat16")[0])
    found = ours(x)
    assert found.dtype == jnp.bfloat16
    np.testing.assert_array_equal(found, theirs(x.astype(jnp.float32)).astype(jnp.bfloat16))


@pytest.mark.parametrize(("platform", "convolves"), [("cpu", False), ("tpu", True), ("cuda", True)])
def test_other_platforms_convolve(platform, convolves):
    conv = SmallDepthwise(4, 3, nnx.Rngs(0))
    traced = jax.jit(lambda conv, x: conv(x)).trace(conv, jax.ShapeDtypeStruct((1, 8, 8, 4), jnp.float32))
    assert ("stablehlo.convolution" in traced.lower(lowering_platforms=(platform,)).as_text()) == convolves
