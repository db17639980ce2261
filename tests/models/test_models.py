"""The model and its taps: every name read and edited, forwards that stop early, sizes, precision."""

import re
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.support import small
from vitjax.errors import InputError
from vitjax.models.core.config import Rotary, ViTConfig
from vitjax.models.core.execution import OVER_DATA, Execution
from vitjax.models.core.stack import Segment, Stack
from vitjax.models.core.taps import Taps
from vitjax.models.core.vocabulary import split_tap
from vitjax.models.flops import operations
from vitjax.models.registry import abstract
from vitjax.units.units import expand

IMAGES = jax.random.uniform(jax.random.key(0), (2, 32, 32, 3))


def close(a, b):
    """Holds two activations to 1e-5 of the largest value."""
    np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * np.abs(b).max())


BLOCK = {
    "resid_pre": "token channel", "attn.q": "token head channel", "attn.k": "token head channel",
    "attn.v": "token head channel", "attn.scores": "head query key", "attn.probs": "head query key",
    "attn.z": "token head channel", "attn.out": "token channel", "resid_mid": "token channel",
    "mlp.pre": "token channel", "mlp.hidden": "token channel", "mlp.out": "token channel",
    "resid_post": "token channel",
}  # fmt: skip
POOL = {
    "attn.q": "head channel", "attn.k": "token head channel", "attn.v": "token head channel",
    "attn.scores": "head key", "attn.probs": "head key", "attn.z": "head channel", "attn.out": "channel",
    "resid_mid": "channel", "mlp.pre": "channel", "mlp.hidden": "channel", "mlp.out": "channel",
}  # fmt: skip


@pytest.mark.parametrize("pool", ["token", "attention"])
def test_every_activation_has_a_tap_and_every_tap_a_site(pool):
    sites = abstract(replace(small.CONFIG, projection=8, pool=pool)).taps()
    pooling = {f"pool.{name}": axes for name, axes in POOL.items()} if pool == "attention" else {}
    assert {tap: " ".join(site.axes) for tap, site in sites.items()} == {
        "embed": "token channel",
        **{f"blocks.{i}.{name}": axes for i in range(4) for name, axes in BLOCK.items()},
        **{"norm": "token channel", "pooled": "channel", "embedding": "channel", "logits": "class"},
        **pooling,
    }
    sizes = {"token": 19, "query": 19, "key": 19, "class": 10}
    for tap, site in sites.items():
        inside = sizes if not tap.startswith("pool.") else {"token": 16, "key": 16}
        assert all(inside.get(axis, size) == size for axis, size in zip(site.axes, site.shape, strict=True))
        stands = (None, 0, False)
        if {"token", "key"} & {*site.axes}:
            stands = ((4, 4), 0, False) if tap.startswith("pool.") else ((4, 4), 3, True)
        assert (site.grid, site.prefix, site.class_token) == stands
    assert {tap: site.before for tap, site in sites.items() if site.before} == {
        tap: tap.replace("hidden", "pre") for tap in sites if tap.endswith("mlp.hidden")
    }


def test_sites_are_traced_once_for_each_config(monkeypatch):
    known = abstract(replace(small.CONFIG, width=24)).taps()
    monkeypatch.setattr("vitjax.models.core.network.listed", None)
    assert abstract(replace(small.CONFIG, width=24)).taps() == known


def test_blocks_read_alike_are_compiled_once():
    reads = [f"blocks.{i}.{name}" for i in range(4) for name in ("attn.probs", "mlp.hidden")]
    run = jax.jit(lambda model, images: model(images, reads))
    text = run.lower(small.model(), IMAGES).as_text()
    assert text.count("stablehlo.while") == 1
    found = run(small.model(), IMAGES)
    assert list(found) == reads
    for tap in reads:
        close(found[tap], small.read(small.model(), IMAGES, reads=tap)[tap])


def test_reading_changes_nothing_and_every_tap_can_be_read():
    model = small.model()
    plain = small.read(model, IMAGES, reads="logits")["logits"]
    everything = small.read(model, IMAGES, reads=tuple(model.taps()))
    assert all(everything[tap].shape[1:] == site.shape for tap, site in model.taps().items())
    close(everything["logits"], plain)
    for tap in ("blocks.2.mlp.hidden", "blocks.0.attn.z", "norm", "embed"):
        close(small.read(model, IMAGES, reads=tap)[tap], everything[tap])


def test_the_residual_stream_adds_up():
    sites = ("resid_pre", "attn.out", "resid_mid", "mlp.out", "resid_post")
    values = small.read(small.model(), IMAGES, reads=tuple(f"blocks.1.{site}" for site in sites))
    values = {tap.removeprefix("blocks.1."): value for tap, value in values.items()}
    np.testing.assert_allclose(values["resid_pre"] + values["attn.out"], values["resid_mid"], atol=1e-6)
    np.testing.assert_allclose(values["resid_mid"] + values["mlp.out"], values["resid_post"], atol=1e-6)


@pytest.mark.representatives("embed", "attn.q", "attn.scores", "attn.z", "mlp.hidden", "resid_post")
@pytest.mark.parametrize("site", ["embed", *BLOCK, "norm", "pooled", "logits"])
def test_an_edit_at_every_tap_reaches_the_logits(site):
    model = small.model()
    tap = site if site in model.taps() else f"blocks.1.{site}"
    edits = {tap: lambda value: value * 1.5 + 0.1 * jnp.cos(jnp.arange(value.shape[-1]))}
    edited = jax.jit(lambda model: model(IMAGES, "logits", edits)["logits"])(model)
    assert np.abs(edited - small.read(model, IMAGES, reads="logits")["logits"]).max() > 1e-5


def test_a_replaced_activation_removes_everything_before_it():
    model, kept = small.model(), small.read(small.model(), IMAGES, reads=("blocks.2.resid_pre", "logits"))
    replace = {"blocks.2.resid_pre": lambda _: kept["blocks.2.resid_pre"]}
    run = jax.jit(lambda x: model(x, "logits", replace)["logits"]).lower(IMAGES).compile()
    np.testing.assert_allclose(run(jnp.zeros_like(IMAGES)), kept["logits"], rtol=1e-5, atol=1e-6)
    assert run.as_text().count("while(") <= 1  # the scan over blocks 0 and 1 is gone


def test_the_gradient_at_a_tap_is_the_gradient_of_an_added_delta():
    model = small.model()
    tap = "blocks.1.mlp.hidden"
    logit = jax.jit(lambda delta: model(IMAGES, "logits", {tap: lambda value: value + delta})["logits"][:, 3].sum())
    step = np.zeros((2, *model.taps()[tap].shape), np.float32)
    gradient = jax.jit(jax.grad(logit))(step)
    step[0, 4, 7] = 1e-2
    np.testing.assert_allclose((logit(step) - logit(-step)) / 2e-2, gradient[0, 4, 7], rtol=1e-2, atol=1e-5)


@pytest.mark.parametrize(
    ("reads", "edits", "runs"),
    [
        ([], [], []),
        (["blocks.0.attn.q"], [], [(0, 1, None)]),
        (["blocks.3.mlp.pre"], [], [(0, 3, [""]), (3, 4, None)]),
        (["logits"], [], [(0, 8, [""])]),
        (["blocks.7.mlp.hidden"], ["blocks.3.attn.z"], [(0, 3, [""]), (3, 4, None), (4, 7, [""]), (7, 8, None)]),
        (["pooled"], ["blocks.0.resid_pre"], [(0, 1, None), (1, 8, [""])]),
        (["blocks.2.resid_post", "blocks.3.resid_post"], [], [(0, 2, [""]), (2, 4, ["resid_post"])]),
        (["blocks.2.attn.q", "blocks.3.attn.k"], [], [(0, 2, [""]), (2, 3, None), (3, 4, None)]),
    ],
)
@pytest.mark.parametrize("prefix", ["", "stages.1."])
def test_blocks_run_only_as_far_as_they_are_read(prefix, reads, edits, runs):
    taps = Taps([prefix + tap for tap in reads], {prefix + tap: lambda value: value for tap in edits})
    taps = taps.scope("stages.1") if prefix else taps
    plan = Stack(None, Segment(("blocks",), 8)).plan(taps)
    assert [(run.start, run.stop, run.reads and [" ".join(one) for one in run.reads]) for run in plan] == runs


def test_blocks_that_are_read_alike_are_unrolled_where_it_is_said_so():
    taps = Taps([f"blocks.{i}.resid_post" for i in range(2, 4)])
    plan = Stack(None, Segment(("blocks",), 8)).plan(taps, OVER_DATA)
    assert [(run.start, run.stop, run.reads is None) for run in plan] == [(0, 2, False), (2, 4, True)]


def test_the_blocks_of_a_pattern_are_scanned_together_and_unrolled_where_it_is_cut():
    stack = Stack(None, Segment(("local", "reduced"), 3), Segment(("plain",), 2))
    assert stack.rows[:4] == [("local", 0), ("reduced", 0), ("local", 1), ("reduced", 1)]
    assert stack.rows[6:] == [("plain", 0), ("plain", 1)]
    plan = lambda *reads: [(run.start, run.stop, run.reads is None) for run in stack.plan(Taps(reads))]
    assert plan("logits") == [(0, 6, False), (6, 8, False)]
    assert plan("blocks.4.resid_post") == [(0, 4, False), (4, 5, True)]
    assert plan("blocks.1.q", "blocks.3.q", "blocks.5.q", "blocks.7.q") == [(0, 6, False), (6, 7, False), (7, 8, True)]


def test_a_stack_of_unlike_blocks_is_unrolled():
    stack = Stack(None, Segment(("blocks",), 3, stacked=False))
    assert stack.rows == [("blocks.0", None), ("blocks.1", None), ("blocks.2", None)]
    assert [(run.start, run.stop, run.reads) for run in stack.plan(Taps(["logits"]))] == [(0, 3, None)]


def test_tokens_may_be_dropped_after_the_embedding():
    model = small.model()
    reads = ["blocks.2.mlp.hidden", "logits"]
    dropped = jax.jit(lambda model: model(IMAGES, reads, {"embed": lambda x: x[:, :8]}))(model)
    assert dropped["blocks.2.mlp.hidden"].shape == (2, 8, 96) and dropped["logits"].shape == (2, 10)


@pytest.mark.exhaustive
def test_rematerialised_gradients_are_the_same():
    model = small.model()
    read = lambda x, execution: model(x, "blocks.3.mlp.pre", execution=execution)["blocks.3.mlp.pre"].sum()
    gradient = jax.jit(jax.grad(read), static_argnums=1)
    plain = gradient(IMAGES, Execution())
    for execution in (Execution(remat=True), Execution(recompute=False), Execution(scan=False)):
        np.testing.assert_allclose(gradient(IMAGES, execution), plain, rtol=1e-4, atol=1e-5)


TAP = "blocks.1.attn.z"
WRONG = {
    "fewer tokens": (TAP, lambda z: z[:, :1], r"changed the shape from \(2, 19, 3, 16\) to \(2, 1, 3, 16\)"),
    "fewer images": (TAP, lambda z: z[:1], r"to \(1, 19, 3, 16\); it must be \(2, 19, 3, 16\)"),
    "fewer heads": ("blocks.1.attn.probs", lambda p: p[:, :1], "changed the shape"),
    "one query": ("blocks.1.attn.scores", lambda s: s[:, :, :1], "changed the shape"),
    "what is added": ("blocks.1.mlp.out", lambda x: x[:, :1], "changed the shape"),
    "after a block": ("blocks.1.resid_post", lambda x: x[:, :9], "changed the shape"),
    "one class": ("logits", lambda x: x[:, :1], "changed the shape"),
    "another axis": ("embed", lambda x: x[:, :4, None], "it must be .*, or fewer tokens"),
    "another batch": ("embed", lambda x: x[:1, :4], "changed the shape"),
    "no token": ("blocks.1.resid_pre", lambda x: x[:, :0], "changed the shape"),
    "more tokens": ("embed", lambda x: jnp.concatenate([x, x], axis=1), "added tokens, 19 became 38"),
    "bool": (TAP, lambda z: z > 0, "gave bool, it must give floats"),
    "int": (TAP, lambda z: jnp.zeros(z.shape, int), "gave int"),
    "complex": (TAP, lambda z: z + 0j, "gave complex"),
    "number": (TAP, lambda _: 0.0, r"gave 0.0, it must give an array of shape \(2, 19, 3, 16\)"),
    "nothing": (TAP, lambda _: None, "gave None"),
}


@pytest.mark.parametrize(("tap", "edit", "words"), WRONG.values(), ids=WRONG)
def test_an_edit_to_another_shape_or_type_is_refused(tap, edit, words):
    with pytest.raises(InputError, match=words) as error:
        jax.eval_shape(lambda images: small.model()(images, "logits", {tap: edit}), IMAGES)
    assert tap in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("tap", ["embed", "blocks.2.resid_pre"])
def test_tokens_may_be_dropped_where_they_enter_a_block(tap):
    read = ["blocks.3.resid_post", "logits"]
    shapes = jax.eval_shape(lambda images: small.model()(images, read, {tap: lambda x: x[:, :3]}), IMAGES)
    assert shapes["blocks.3.resid_post"].shape == (2, 3, 48) and shapes["logits"].shape == (2, 10)


@pytest.mark.parametrize("config", [{"rotary": Rotary()}, {"relative_bias": True}], ids=str)
@pytest.mark.parametrize("tap", ["embed", "blocks.2.resid_pre"])
def test_tokens_may_not_be_dropped_from_attention_that_knows_each_by_its_position(config, tap):
    model = abstract(replace(small.CONFIG, registers=0, **config))
    run = lambda model, images, count: model(images, "logits", {tap: lambda x: x[:, :count]})
    for count in (1, 5):  # one token would be broadcast in silence
        with pytest.raises(InputError, match="tokens cannot be dropped from this model"):
            jax.eval_shape(partial(run, count=count), model, IMAGES)


@pytest.mark.representatives("{}")
@pytest.mark.parametrize("config", [{}, {"qk_norm": True, "attn_norm": True}], ids=str)
def test_an_attention_kernel_computes_what_the_products_do(config):
    model = small.random(replace(small.CONFIG, **config))
    embedded = model.embed(model.normalise(IMAGES))

    def last(embedded, attention, **reads):
        return model.from_embedding(embedded, execution=Execution(attention=attention), **reads)

    for edits in ({}, {"blocks.1.attn.z": lambda z: z * 2}):

        @partial(jax.jit, static_argnames="way")
        def pulled(embedded, towards=None, *, way, edits=edits):
            found, back = jax.vjp(lambda x: last(x, way, edits=edits), embedded)
            return found, back(found if towards is None else towards)[0]

        found, other_gradient = pulled(embedded, way="xla")
        wanted, gradient = pulled(embedded, found, way="products")
        np.testing.assert_allclose(found["logits"], wanted["logits"], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(other_gradient, gradient, rtol=1e-5, atol=1e-5 * np.abs(gradient).max())
    tap, run = "blocks.2.attn.scores", jax.jit(last, static_argnames=("attention", "reads"))
    scores, written = (run(embedded, way, reads=tap)[tap] for way in ("xla", "products"))
    np.testing.assert_allclose(scores, written, rtol=1e-5, atol=1e-5)
    double = {"blocks.2.attn.probs": lambda probs: probs * 2}
    doubled = jax.jit(lambda embedded: last(embedded, "xla", edits=double)["logits"])(embedded)
    assert np.abs(doubled - found["logits"]).max() > 1e-3


def test_bfloat16_weights_compute_in_bfloat16_with_float32_statistics():
    model = jax.tree.map(lambda leaf: np.asarray(leaf, jnp.bfloat16), small.model())
    values = small.read(model, IMAGES, reads=("blocks.1.mlp.hidden", "blocks.1.attn.probs", "logits"))
    assert values["blocks.1.mlp.hidden"].dtype == values["logits"].dtype == jnp.bfloat16
    assert values["blocks.1.attn.probs"].dtype == jnp.float32
    exact = small.read(small.model(), IMAGES, reads="logits")["logits"]
    assert np.abs(values["logits"].astype(jnp.float32) - exact).max() < 0.05 * np.abs(exact).max()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda model: model(IMAGES, "blocks.1.mlp.hiden"), "did you mean blocks.1.mlp.hidden"),
        (lambda model: model(IMAGES, "blocks.4.mlp.hidden"), "unknown tap 'blocks.4.mlp.hidden'"),
        (lambda model: model(IMAGES, "logits", {"blocks.1.attn.zz": lambda v: v}), "did you mean blocks.1.attn.z"),
        (lambda model: model(IMAGES, "blocks.1.resid_post", {"blocks.3.attn.z": lambda v: v}), "has no effect"),
        (lambda model: model(IMAGES, "logits", {"blocks.1.attn.z": lambda v: v[..., :1]}), "changed the shape"),
        (lambda model: model(IMAGES[:, :24]), r"this model takes \[batch, 32x32, 3\]"),
        (lambda model: model(IMAGES, []), "no tap is read"),
        (lambda model: model(IMAGES, 5), "reads are names of taps, .*; 5 is none"),
        (lambda model: model(IMAGES, ["logits", None]), "None is none"),
        (lambda model: model(IMAGES, "logits", ["blocks.1.attn.z"]), "not a list"),
        (lambda model: model(IMAGES, "logits", {"blocks.1.attn.z": 3}), "'blocks.1.attn.z': 3 is none"),
        (lambda model: model.from_embedding(None), "embedded is no array of floats"),
        (
            lambda _: ViTConfig(image_size=(225, 224)),
            r"height 225 is not divisible by the patch height 16 \(nearest: 224",
        ),
        (lambda _: ViTConfig(width=100), "does not split into 3 heads"),
        (lambda _: ViTConfig(pool="tokens"), "did you mean token"),
        (lambda _: ViTConfig(class_token=False), "reads the class token"),
        (lambda _: ViTConfig(depth=0), "depth is 0"),
    ],
)
def test_mistakes_are_named(call, words):
    with pytest.raises(InputError, match=words) as error:
        call(small.model())
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("tap", ["blocks.2.mlp.hidden", "blocks.1.attn.z", "embedding", "logits"])
def test_the_operations_counted_are_xla_s_on_unrolled_blocks(tap):
    config = ViTConfig(width=768, heads=12, mlp_width=3072, depth=3, projection=9000)
    depth = 3 if (block := split_tap(tap).block) is None else block + 1
    unroll = [f"blocks.{i}.{name}" for i, name in enumerate(("resid_pre", "resid_mid", "attn.out")[:depth])]
    image = jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32)

    def forward(model, x, reads=(tap, *unroll)):
        return model(x, reads, execution=Execution(recompute=False))[tap].sum()

    for function in (forward, jax.grad(forward, argnums=1)):
        counted = operations(partial(function, reads=(tap,)), abstract(config), image)
        xla = jax.jit(function).lower(abstract(config), image).cost_analysis()["flops"]
        assert counted == operations(function, abstract(config), image) == pytest.approx(xla, rel=0.03)


def test_a_tap_that_a_kind_has_none_of_is_refused_with_the_reason(monkeypatch):
    monkeypatch.setattr(type(small.model()), "lacking", {"tokens.hidden": "it mixes tokens by attention: attn.z"})
    said = r"^there is no tap '{}tokens\.hidden': it mixes tokens by attention: attn\.z$"
    with pytest.raises(InputError, match=said.format(r"blocks\.1\.")):
        small.model()(IMAGES, "blocks.1.tokens.hidden")
    for name in ("blocks.1.", "blocks.*.", ""):
        with pytest.raises(InputError, match=said.format(re.escape(name))):
            expand(f"{name}tokens.hidden:0", small.model().taps())
    with pytest.raises(InputError, match=r"unknown tap 'blocks\.1\.mlp\.hiden' \(did you mean blocks\.1\.mlp"):
        small.model()(IMAGES, "blocks.1.mlp.hiden")
