"""Which kernel computes attention where, and that filling up to an even number of tokens is seen nowhere."""

from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.support import noise, small
from vitjax.errors import InputError
from vitjax.models.core.execution import KERNELS, Execution, platform
from vitjax.models.core.surroundings import key
from vitjax.models.core.taps import Taps
from vitjax.models.kernels import cudnn
from vitjax.models.parts.attention import attend
from vitjax.models.registry import abstract

HERE = partial(cudnn.attend, implementation="xla")  # keeps to lengths as cuDNN's does, and runs anywhere


def heads(width: int, dtype: jnp.dtype = jnp.bfloat16) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct((1, 5, 2, width), dtype)


@pytest.mark.parametrize("queries, keys", [(5, 5), (6, 6), (1, 7), (6, 3), (7, 4)])
def test_what_is_filled_up_is_seen_nowhere(queries, keys):
    rng, counts = np.random.default_rng(0), {"q": queries, "k": keys, "v": keys, "back": queries}
    given = [rng.standard_normal((3, count, 2, 8), np.float32) for count in counts.values()]
    written = lambda q, k, v: attend(q, k, v, Taps(), Execution(attention="products"))

    @partial(jax.jit, static_argnums=0)
    def pulled(way, q, k, v, back):
        found, pull = jax.vjp(way, q, k, v)
        return found, pull(back)

    (wanted, expected), (found, gradient) = (pulled(way, *given) for way in (written, HERE))
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
    for mine, theirs in zip(gradient, expected, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-6)


def test_every_number_of_tokens_reaches_the_kernel_even(monkeypatch):
    seen = []
    monkeypatch.setattr(
        jax.nn, "dot_product_attention", lambda q, k, v, **how: seen.append((q.shape[1], k.shape[1], set(how))) or q
    )
    for queries, keys in ((197, 197), (198, 198), (197, 49)):
        assert cudnn.attend(jnp.zeros((1, queries, 1, 8)), *[jnp.zeros((1, keys, 1, 8))] * 2).shape[1] == queries
    lengths = {"implementation", "query_seq_lengths", "key_value_seq_lengths"}
    assert seen == [(198, 198, lengths), (198, 198, {"implementation"}), (198, 50, lengths)]


@pytest.mark.parametrize("changes", [{}, {"attn_norm": True}])
def test_a_model_of_which_nothing_is_seen_fills_its_tokens_up_unseen(monkeypatch, changes):
    monkeypatch.setitem(KERNELS, "cudnn", KERNELS["cudnn"]._replace(attend=HERE, takes=lambda q: True))
    model, tap = noise.model(replace(small.CONFIG, depth=2, registers=0, **changes)), "blocks.1.mlp.hidden"
    assert model.taps()[tap].tokens % 2 == 1
    image = jax.random.uniform(key(0), (2, *model.config.image_size, 3), jnp.float32)

    @partial(jax.jit, static_argnames="attention")
    def mean(image, attention):
        return jax.value_and_grad(
            lambda image: model(image, tap, execution=Execution(attention=attention))[tap].mean()
        )(image)

    for found, wanted in zip(mean(image, "cudnn"), mean(image, "products"), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-8)


def test_gpus_unroll_what_is_alike_and_keep_what_products_write():
    model, there = small.model(), Execution().on("gpu")
    assert all(run.reads is None for run in model.stack().plan(Taps(["blocks.3.mlp.hidden"]), there))
    assert any(
        run.reads is not None for run in model.stack().plan(Taps(["blocks.3.mlp.hidden"]), Execution().on("cpu"))
    )
    assert there.apart(24) and not there.apart(40)
    assert there.kept(("attn.q", "mlp.pre")) == ("attn.q", "mlp.product")
    assert Execution().on("cpu").kept(("attn.q", "mlp.pre")) == ("attn.q", "mlp.pre")
    assert Execution(remat=True).on("gpu").kept(("mlp.pre",)) == ()


def test_auto_takes_a_kernel_only_for_what_it_is_made_for():
    there = Execution().on("gpu")
    for width in (8, 64, 72, 128):
        assert there.kernel(heads(width)).attend is cudnn.attend
    for left_out in (heads(64, jnp.float32), heads(20), heads(136), heads(256), heads(512)):
        assert there.kernel(left_out) is None
    assert Execution().on("cpu").kernel(heads(64)) is None
    assert Execution(attention="products").on("gpu").kernel(heads(64)) is None
    assert Execution().on("gpu").on("cpu") == there  # what it is compiled for has been said


@pytest.mark.parametrize(
    "name, taken", [("7.5", False), ("8.0", True), ("9.0", True), ("12.0", True), ("gfx90a", False)]
)
def test_cards_without_the_kernel_write_scores_down(monkeypatch, name, taken):
    card = SimpleNamespace(platform="gpu", compute_capability=name)
    monkeypatch.setattr(jax, "local_devices", lambda: [card])
    assert (Execution().on("gpu").kernel(heads(64)) is not None) == taken


def test_a_kernel_asked_for_by_name_says_what_it_takes():
    assert Execution(attention="cudnn").kernel(heads(64)).attend is cudnn.attend
    with pytest.raises(
        InputError, match=r"takes 16 bits and heads of 8, 16, … 128 channels on .*, not float32 and heads"
    ):
        Execution(attention="cudnn").kernel(heads(64, jnp.float32))
    assert Execution(attention="xla").on("tpu").kernel(heads(20, jnp.float32)) is not None
    with pytest.raises(InputError, match="one of auto, products, xla, cudnn, pallas"):
        Execution(attention="flash")


def test_what_runs_is_of_the_devices_where_the_weights_lie(monkeypatch):
    here = Execution().on(platform(small.model()))
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")  # the weights lie elsewhere
    assert Execution().on(platform(small.model())) == here
    assert Execution().on(platform(abstract(small.CONFIG))).platform == "gpu"
