"""The TPU's attention over whole rows against written products, interpreted on the CPU, and that it lowers for TPUs."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import pallas as pl

from tests.support import small
from vitjax.models.core.execution import Execution
from vitjax.models.core.surroundings import key
from vitjax.models.core.taps import Taps
from vitjax.models.kernels import tpu_attention, tpu_programs
from vitjax.models.parts.attention import attend

Way = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]

# (queries, keys, heads, channels of one): heads that share a register's lanes, fill them, and lie across two; queries
# that are split, the last few of them alone.
SHAPES = [(13, 13, 2, 64), (21, 21, 3, 64), (9, 18, 2, 80), (19, 11, 1, 192), (17, 17, 8, 16), (10, 10, 4, 128)]


@pytest.fixture
def interpreted(monkeypatch):
    """Runs kernels on the CPU; what they load beyond the last token is NaN there."""
    monkeypatch.setattr(pl, "pallas_call", partial(pl.pallas_call, interpret=True))


def inputs(shape: tuple[int, ...], dtype: jnp.dtype, factor: float = 2.0) -> list[jax.Array]:
    """q, k, v and what comes back to z."""
    queries, keys, heads, size = shape
    draw = lambda i, count: factor * jax.random.normal(jax.random.fold_in(key(0), i), (2, count, heads, size))
    return [draw(i, count).astype(dtype) for i, count in enumerate((queries, keys, keys, queries))]


def written(q: jax.Array, k: jax.Array, v: jax.Array) -> jax.Array:
    return attend(q, k, v, Taps(), Execution(attention="products"))


def side_by_side(q: jax.Array, k: jax.Array, v: jax.Array) -> jax.Array:
    qkv = jnp.concatenate([part.reshape(*part.shape[:2], -1) for part in (q, k, v)], axis=2)
    return tpu_attention.packed(qkv, q.shape[2]).reshape(q.shape)


@partial(jax.jit, static_argnames="way")
def both(q: jax.Array, k: jax.Array, v: jax.Array, back: jax.Array, way: Way = tpu_attention.attend) -> list[jax.Array]:
    """z and the gradients of q, k and v."""
    z, pull = jax.vjp(way, q, k, v)
    return [z, *pull(back)]


@pytest.mark.representatives("(17, 17, 8, 16)", "(9, 18, 2, 80)", "(19, 11, 1, 192)")
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_whole_rows_are_what_the_products_are(monkeypatch, interpreted, shape):
    monkeypatch.setattr(tpu_programs, "SPLITS", (16,))
    given = inputs(shape, jnp.float32)
    found = both(*given)
    for mine, theirs in zip(found, both(*given, way=written), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-5 * np.abs(theirs).max())


@pytest.mark.parametrize("shape", [SHAPES[0], SHAPES[2]], ids=str)
def test_in_16_bits_they_are_as_true_as_16_bits_are(monkeypatch, interpreted, shape):
    monkeypatch.setattr(tpu_programs, "SPLITS", (16,))
    given = inputs(shape, jnp.bfloat16)
    truth = both(*(part.astype(jnp.float32) for part in given), way=written)
    size = lambda value: np.sqrt(np.square(value).mean())
    for mine, true in zip(both(*given), truth, strict=True):
        assert mine.dtype == jnp.bfloat16 and size(mine.astype(jnp.float32) - true) <= 2**-7 * size(true)


@pytest.mark.parametrize("shape", [(13, 13, 2, 64), (21, 21, 4, 64), (9, 9, 3, 64)], ids=str)
def test_side_by_side_it_is_the_same(monkeypatch, interpreted, shape):
    monkeypatch.setattr(tpu_programs, "SPLITS", (16,))
    given = inputs(shape, jnp.float32)
    for mine, theirs in zip(both(*given, way=side_by_side), both(*given, way=written), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-5 * np.abs(theirs).max())


def test_scores_that_no_float_can_raise_e_to_are_no_matter(interpreted):
    given = inputs((8, 8, 2, 64), jnp.float32, factor=40.0)
    found = both(*given)
    for mine, theirs in zip(found, both(*given, way=written), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-4 * np.abs(theirs).max())


def test_a_model_is_the_same_with_it(interpreted):
    model = small.model()
    embedded = jax.random.normal(key(1), (2, small.CONFIG.tokens, small.CONFIG.width))

    @partial(jax.jit, static_argnums=0)
    def gradient(attention: str) -> jax.Array:
        read = lambda x: model.from_embedding(x, ["logits"], execution=Execution(attention=attention))["logits"][:, 3]
        return jax.grad(lambda x: read(x).sum())(embedded)

    found, wanted = gradient("pallas"), gradient("products")
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max())


@pytest.mark.representatives(
    "attend-bfloat16-(197, 197, 12, 64)",
    "attend-float32-(257, 257, 16, 80)",
    "side_by_side-bfloat16-(50, 50, 6, 64)",
    "side_by_side-bfloat16-(1025, 1025, 16, 64)",
)
@pytest.mark.parametrize(
    "shape",
    [
        (197, 197, 12, 64),
        (197, 197, 3, 64),
        (50, 50, 6, 64),
        (577, 577, 16, 64),
        (257, 257, 16, 80),
        (1025, 1025, 16, 64),
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32], ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("way", [tpu_attention.attend, side_by_side], ids=lambda way: way.__name__)
def test_it_lowers_for_tpus(shape, dtype, way):
    given = [jax.ShapeDtypeStruct(part.shape, part.dtype) for part in jax.eval_shape(lambda: inputs(shape, dtype))]
    text = both.trace(*given, way=way).lower(lowering_platforms=("tpu",)).as_text()
    assert text.count("tpu_custom_call") == 2


def test_auto_takes_it_on_tpus_where_nothing_of_the_scores_is_asked():
    there = Execution().on("tpu")
    heads = lambda tokens: jax.ShapeDtypeStruct((1, tokens, 2, 64), jnp.bfloat16)
    assert there.kernel(heads(197)).attend is tpu_attention.attend
    assert there.kernel(heads(1)) is None and there.kernel(heads(4096)) is None
    assert Execution().on("cpu").kernel(heads(197)) is None
