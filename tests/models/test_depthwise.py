"""A convolution of each channel by itself, which platforms compute in two ways."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import lax

from vitjax.models.parts.depthwise import Depthwise, depthwise

CASES = [(3, 1, 1), (3, 2, 1), (5, 1, 1), (3, 2, 2)]  # size, stride, outputs of a channel


def reference(x, kernel, stride):
    """XLA's own convolution."""
    pad, names = kernel.shape[0] // 2, ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(
        x, kernel, (stride, stride), [(pad, pad)] * 2, dimension_numbers=names, feature_group_count=x.shape[-1]
    )


@pytest.mark.parametrize(("size", "stride", "times"), CASES)
def test_equals_xlas_convolution_and_its_gradients(size, stride, times):
    rng = np.random.default_rng(0)
    x, kernel = rng.normal(size=(2, 7, 6, 4)), rng.normal(size=(size, size, 1, 4 * times))
    with jax.enable_x64(True):
        given = jnp.asarray(x), jnp.asarray(kernel)
        wanted, back = jax.vjp(lambda *given: reference(*given, stride), *given)
        found, found_back = jax.vjp(lambda *given: depthwise(*given, stride), *given)
        assert found.shape == wanted.shape
        np.testing.assert_allclose(found, wanted, atol=1e-13)
        change = jnp.asarray(rng.normal(size=wanted.shape))
        for mine, other in zip(found_back(change), back(change), strict=True):
            np.testing.assert_allclose(mine, other, atol=1e-12)


def test_adds_up_in_float32():
    rng = np.random.default_rng(0)
    x, kernel = (jnp.asarray(rng.normal(size=size), jnp.bfloat16) for size in ((1, 8, 8, 4), (3, 3, 1, 4)))
    found, wanted = depthwise(x, kernel), reference(*(a.astype(jnp.float32) for a in (x, kernel)), 1)
    assert found.dtype == jnp.bfloat16
    np.testing.assert_array_equal(found, wanted.astype(jnp.bfloat16))


@pytest.mark.parametrize(("platform", "convolves"), [("cpu", False), ("tpu", True), ("cuda", True)])
def test_other_platforms_convolve(platform, convolves):
    shapes = jax.ShapeDtypeStruct((1, 8, 8, 4), jnp.float32), jax.ShapeDtypeStruct((3, 3, 1, 4), jnp.float32)
    text = jax.jit(depthwise).trace(*shapes).lower(lowering_platforms=(platform,)).as_text()
    assert ("stablehlo.convolution" in text) == convolves


def test_module_adds_its_bias():
    conv = Depthwise(4, 3, nnx.Rngs(0), outputs=8, stride=2)
    conv.bias = nnx.Param(jnp.arange(8.0))
    x = jax.random.normal(jax.random.key(0), (1, 6, 6, 4))
    np.testing.assert_allclose(conv(x), reference(x, conv.kernel[...], 2) + jnp.arange(8.0), atol=1e-5)
