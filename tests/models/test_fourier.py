"""Pictures from Fourier coefficients are numpy's, whichever way a machine computes them."""

import jax
import numpy as np
import pytest

from vitjax.models.kernels import fourier

WAYS = {"fft": fourier.irfft2, "products": fourier._by_products}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("size", [(8, 8), (9, 6), (6, 15), (64, 112)])
def test_pictures_are_those_of_numpy(way, size):
    real, imaginary = np.random.default_rng(0).normal(size=(2, size[0], size[1] // 2 + 1, 3)).astype(np.float32)
    expected = np.fft.irfft2(real + 1j * imaginary, size, axes=(0, 1))
    found = WAYS[way](real, imaginary, size)
    np.testing.assert_allclose(found, expected, atol=1e-6 * abs(expected).max())


def test_each_platform_gets_its_own_way_alone():
    part = jax.ShapeDtypeStruct((8, 5, 3), np.float32)
    traced = jax.jit(lambda *parts: fourier.irfft2(*parts, (8, 8))).trace(part, part)
    fft, products = (traced.lower(lowering_platforms=(name,)).as_text() for name in ("cpu", "tpu"))
    assert "stablehlo.fft" in fft and "dot_general" not in fft
    assert "stablehlo.fft" not in products and "dot_general" in products
