"""The kernel of DTN on TPUs against the norm as it is written, which `test_dtn.py` holds against its definition."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.experimental import pallas as pl

from vitjax.models.core.execution import PLAIN, Execution
from vitjax.models.kernels import tpu_token_norm
from vitjax.models.norms.dtn import PAPER, REFERENCE, Preset, TokenNorm

THERE = Execution(platform="tpu")
RNG = np.random.default_rng(0)
# Tokens, channels, heads: that share a register's lanes in fours, and that fill it.
SHAPES = [((3, 5), 256, 8, PAPER), ((4, 2), 128, 1, REFERENCE)]


@pytest.fixture(autouse=True)
def interpreted(monkeypatch):
    """Runs kernels on the CPU; what they load beyond the last token is NaN there."""
    monkeypatch.setattr(pl, "pallas_call", partial(pl.pallas_call, interpret=True))


def drawn(grid: tuple[int, int], width: int, heads: int, preset: Preset, dtype: jnp.dtype) -> tuple[TokenNorm, ...]:
    """A norm with anything learned, tokens, and what comes back to them."""
    norm = TokenNorm(width, heads, grid, nnx.Rngs(0), preset=preset)
    for variable in vars(norm).values():
        if isinstance(variable, nnx.Param):
            variable.set_value(jnp.asarray(RNG.normal(0, 0.5, variable.shape), jnp.float32))
    x, back = (jnp.asarray(RNG.normal(1, 2, (2, grid[0] * grid[1], width)), dtype) for _ in range(2))
    return norm, x, back


@partial(jax.jit, static_argnames="execution")
def both(norm: TokenNorm, x: jax.Array, back: jax.Array, execution: Execution) -> list[jax.Array]:
    """What the norm gives, and the gradients of its parameters and tokens."""
    y, pull = jax.vjp(lambda norm, x: norm(x, execution=execution), norm, x)
    return jax.tree.leaves([y, *pull(back)])


@pytest.mark.parametrize(("grid", "width", "heads", "preset"), SHAPES)
def test_the_kernel_is_the_norm_and_its_gradient(grid, width, heads, preset):
    given = drawn(grid, width, heads, preset, jnp.float32)
    assert "pallas_call" in str(jax.make_jaxpr(partial(both, execution=THERE))(*given))
    for mine, theirs in zip(both(*given, THERE), both(*given, PLAIN), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-5 * max(1, float(abs(theirs).max())))


def test_nearly_constant_tokens_in_16_bits_through_the_kernel():
    norm, x = (
        TokenNorm(128, 2, (4, 4), nnx.Rngs(0)),
        jnp.asarray(2 + 0.01 * RNG.normal(0, 1, (1, 16, 128)), jnp.bfloat16),
    )
    norm.mix.set_value(jnp.full(2, -60.0))
    mine, theirs = (norm(x.astype(dtype), execution=THERE) for dtype in (x.dtype, jnp.float32))
    np.testing.assert_allclose(mine.astype(jnp.float32), theirs, atol=3e-2)


def test_where_it_is_taken():
    like = lambda tokens, width, dtype=jnp.bfloat16: jax.ShapeDtypeStruct((2, tokens, width), dtype)
    assert tpu_token_norm.takes(like(196, 384), 6) and tpu_token_norm.takes(like(196, 1024, jnp.float32), 16)
    wrong = [(like(784, 384), 6), (like(196, 432), 9), (like(196, 768), 8), (like(196, 384, jnp.float64), 6)]
    assert not any(tpu_token_norm.takes(*each) for each in wrong)
    assert [Execution(attention=way, platform=where).fused for way, where in (
        ("auto", "tpu"), ("pallas", "tpu"), ("products", "tpu"), ("auto", "cpu"), ("auto", "")
    )] == [True, True, False, False, False]  # fmt: skip
