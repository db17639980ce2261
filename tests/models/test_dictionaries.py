"""Latents of dictionaries as taps: what they are, what edits of them do, and that nothing else changes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.support import small
from vitjax.errors import InputError
from vitjax.models.core.network import provenance
from vitjax.models.dictionaries.dictionary import Dictionary
from vitjax.models.dictionaries.form import ACTIVATIONS, Form
from vitjax.models.hierarchical.swin import SwinConfig
from vitjax.models.registry import random
from vitjax.optimize import loop
from vitjax.optimize.cost import picture_flops
from vitjax.optimize.objectives import UnitActivation
from vitjax.optimize.recipes import RECIPES, choose
from vitjax.optimize.schedule.plan import plan
from vitjax.optimize.visualize import visualize

TAP, LATENTS = "blocks.1.resid_post", 60
RNG = np.random.default_rng(0)
IMAGES = RNG.random((2, 32, 32, 3), np.float32)
FORMS = {
    "relu": {},
    "topk": {"activation": "topk", "k": 5, "relu": False},
    "threshold": {"activation": "threshold"},
    "gated": {"activation": "gated"},
    "layer_norm": {"norm": "layer_norm"},
    "rms_norm": {"norm": "rms_norm"},
    "affine": {"norm": "affine"},
}


def made(channels=48, tap=TAP, **form):
    """A random dictionary."""
    rng = np.random.default_rng(1)
    draw = lambda *shape: rng.standard_normal(shape, np.float32)
    arrays = {"encoder": draw(channels, LATENTS) / 7, "decoder": draw(LATENTS, channels) / 8}
    arrays |= {"pre_bias": draw(channels), "encoder_bias": draw(LATENTS), "decoder_bias": draw(channels)}
    arrays |= {"mean": draw(channels), "scale": np.exp(draw(channels))}
    arrays |= {"threshold": abs(draw(LATENTS)), "gate_scale": np.exp(draw(LATENTS)), "gate_bias": draw(LATENTS)}
    return Dictionary(Form(tap, **form), arrays)


@jax.jit
def _read(model, images):
    return model(images, [TAP, f"{TAP}.sae_pre", f"{TAP}.sae", "logits"])


@pytest.mark.parametrize("name", FORMS)
def test_latents_are_what_the_formulas_say(name):
    """Read in a model, and put together again: against the formulas in numpy's float64."""
    one = made(**FORMS[name])
    held = {key: np.asarray(variable[...], np.float64) for key, variable in one.arrays.items()}
    found = {tap: np.asarray(value) for tap, value in _read(small.model().with_dictionary(one), IMAGES).items()}
    x = found[TAP].astype(np.float64)
    shift, into, back = 0, 1, 1
    if name == "affine":
        shift, into, back = held["mean"], held["scale"], held["scale"]
    if name == "layer_norm":
        shift, back = x.mean(-1, keepdims=True), np.sqrt(((x - x.mean(-1, keepdims=True)) ** 2).sum(-1) / 47)[..., None]
        into = back + 1e-5
    if name == "rms_norm":
        into = back = np.linalg.norm(x, axis=-1, keepdims=True) / np.sqrt(48)
    pre = ((x - shift) / into - held["pre_bias"]) @ held["encoder"] + held["encoder_bias"]
    latents = np.maximum(pre, 0)
    if name == "topk":
        latents = np.where(pre >= np.sort(pre)[..., -5:-4], pre, 0)
    if name == "threshold":
        latents *= pre > held["threshold"]
    if name == "gated":
        size = (pre - held["encoder_bias"]) * held["gate_scale"] + held["gate_bias"]
        latents = np.where(pre > 0, np.maximum(size, 0), 0)
    np.testing.assert_allclose(found[f"{TAP}.sae_pre"], pre, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found[f"{TAP}.sae"], latents, rtol=1e-5, atol=1e-5)
    together = one.decode(jnp.asarray(latents, jnp.float32), jnp.asarray(x, jnp.float32))
    np.testing.assert_allclose(
        together, (latents @ held["decoder"] + held["decoder_bias"]) * back + shift, rtol=1e-4, atol=1e-4
    )


def test_of_equal_latents_the_first_are_kept():
    """By their numbers, so that what is kept is the same on every machine."""
    pre = jnp.array([[1.0, 3, 3, 2, 3], [-1, -1, -1, -1, -1]])
    kept = ACTIVATIONS["topk"](pre, Form(TAP, activation="topk", k=2, relu=False), {})
    np.testing.assert_array_equal(kept, [[0, 3, 3, 0, 0], [-1, -1, 0, 0, 0]])


def test_nothing_changes_without_an_edit():
    """Whether a model has a dictionary, whether its latents are read, and edits that change nothing: the same bits."""
    model = small.model()
    plain = np.asarray(small.read(model, IMAGES, reads=("logits",))["logits"])
    model = model.with_dictionary(made())
    held = np.asarray(small.read(model, IMAGES, reads=("logits",))["logits"])
    same = jax.jit(lambda model, images: model(images, edits={f"{TAP}.sae": lambda z: z * 1, f"{TAP}.sae_pre": abs}))
    still = jax.jit(lambda model, images: model(images, edits={f"{TAP}.sae": lambda z: z * 1}))
    assert (held == plain).all()
    assert (np.asarray(_read(model, IMAGES)["logits"]) == np.asarray(still(model, IMAGES)["logits"])).all()
    assert (np.asarray(same(model, IMAGES)["logits"]) != plain).any()


@pytest.mark.parametrize("tokens", ["all", "patches", "class"])
def test_an_ablated_latent_takes_its_own_part_alone(tokens):
    """z -> 0 takes z @ D away and keeps the error, at the tokens that the dictionary is for."""
    model = small.model().with_dictionary(made(tokens=tokens, norm="rms_norm"))
    reads = [TAP, f"{TAP}.sae"]
    edits = (lambda z: z, lambda z: z.at[..., 7].set(0), lambda z: z + 1)
    run = lambda model: [model(IMAGES, reads, {f"{TAP}.sae": edit}) for edit in edits]
    before, after, added = ({tap: np.asarray(x) for tap, x in one.items()} for one in jax.jit(run)(model))
    length = np.sqrt((before[TAP] ** 2).mean(-1))
    part = before[f"{TAP}.sae"][..., 7] * length
    due = -part[..., None] * model.dictionaries[0].arrays["decoder"][...][7]
    np.testing.assert_allclose(after[TAP] - before[TAP], due, atol=1e-5)
    where = {"all": slice(None), "patches": slice(3, None), "class": slice(0, 1)}[tokens]
    active = np.asarray(before[f"{TAP}.sae"] != 0).any((0, 2))
    assert active[where].all() and active.sum() == len(active[where])
    assert np.asarray(added[TAP] != before[TAP]).any((0, 2)).sum() == len(active[where])


def test_a_latent_is_painted_by_one_column():
    """Before the activation function a latent needs its column alone, and is the same; its number is data."""
    model = small.model().with_dictionary(made(norm="layer_norm"))
    sites = model.taps()
    aim = UnitActivation(f"{TAP}.sae").earlier(sites)
    assert aim.tap == f"{TAP}.sae_pre" and sites[f"{TAP}.sae"].axes == ("token", "latent")
    taps, score = aim.shortest(model, "patches")
    assert taps == (TAP,)
    values = small.read(model, IMAGES, reads=(TAP, aim.tap))
    for number in (0, 59):
        whole = aim.activation(values, number, sites=sites, tokens="patches")
        np.testing.assert_allclose(score(values, number), whole, rtol=1e-5, atol=1e-5)


def test_two_dictionaries_of_a_tap_and_bfloat16():
    """A name tells them apart; they take the model's dtype, and no layer is read that is not asked for."""
    model = small.model().with_dictionary(made(), made(name="fine"))
    found = small.read(model.cast("bfloat16"), IMAGES, reads=(f"{TAP}.sae@fine", f"{TAP}.sae"))
    assert found[f"{TAP}.sae"].dtype == jnp.bfloat16
    np.testing.assert_array_equal(found[f"{TAP}.sae@fine"], found[f"{TAP}.sae"])
    told = [provenance(small.model().with_dictionary(one))["dictionaries"] for one in (made(), made(k=1), made())]
    assert told[0] == told[2] != told[1] and told[0][f"{TAP}.sae"]["form"]["tap"] == TAP
    sites = small.model().with_dictionary(made(tap="pooled")).taps()
    assert sites["pooled.sae"].shape == (LATENTS,) and sites["pooled.sae"].before == "pooled.sae_pre"


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: made(channels=40), "takes 40 channels apart, blocks.1.resid_post has 48: is it of another model"),
        (lambda: made(channels=96), "has 48; blocks.0.mlp.pre has as many"),
        (lambda: made(tap="blocks.9.resid_post"), "unknown tap 'blocks.9.resid_post'"),
        (lambda: made(channels=16, tap="blocks.1.attn.z"), "has the axes token, head, channel"),
        (lambda: made(activation="relus"), "activation 'relus' .did you mean relu"),
        (lambda: made(activation="topk", k=61), "keeps the 61 largest of 60"),
        (lambda: Dictionary(Form(TAP), {"encoder": np.ones((3, 2)), "decoder": np.ones((3, 2))}), "transposed"),
        (lambda: Dictionary(Form(TAP), {"encoder": np.ones((2, 3)), "decoder": np.full((3, 2), np.nan)}), "not finite"),
        (lambda: Dictionary(Form(TAP), {"decoder": np.ones((3, 2))}), "no encoder"),
    ],
)
def test_what_does_not_fit_is_said(make, what):
    """In one line."""
    with pytest.raises(InputError, match=what):
        small.model().with_dictionary(make())
    with pytest.raises(InputError, match="two dictionaries are called"):
        small.model().with_dictionary(made(), made())


@pytest.mark.exhaustive
def test_latents_in_a_model_of_stages():
    """At every place, in blocks that compute in windows, and painted by one column."""
    swin = random(SwinConfig((32, 32), (4, 4), (8, 16), (2, 1), (1, 2), (16, 32), classes=4, windows=(4, 4)))
    held = [made(8, f"stages.0.blocks.1.{name}", tokens="patches") for name in ("resid_post", "attn.out")]
    model, sites = swin.with_dictionary(*held), swin.with_dictionary(*held).taps()
    taps = [one.taps[1] for one in held]
    assert all(sites[tap].axes[-1] == "latent" and sites[tap].grid == (8, 8) for tap in taps)
    aim = UnitActivation(held[0].taps[0])
    (source,), score = aim.shortest(model, "patches")
    reads = [*taps, "logits", source, aim.tap]
    found = jax.jit(lambda model, x: model(x, reads))(model, IMAGES)
    moved = jax.jit(lambda model, x: model(x, [taps[1], "logits"], {taps[1]: lambda z: z + 1}))(model, IMAGES)
    assert found[taps[0]].shape == (2, 64, LATENTS)
    whole = aim.activation(found, 3, sites=sites, tokens="patches")
    np.testing.assert_allclose(score(found, 3), whole, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(moved[taps[1]], found[taps[1]] + 1, rtol=1e-6)
    assert (np.asarray(moved["logits"]) != np.asarray(found["logits"])).any()


def test_pictures_of_latents_are_planned_as_those_of_their_tap():
    """By recipes of stages, too, and what they cost is known: a model as such has no latents."""
    recipe, config = RECIPES["fast"], small.CONFIG
    own, latents = (plan(recipe, config, UnitActivation(tap)) for tap in (TAP, f"{TAP}.sae@a"))
    assert own == latents and picture_flops(config, TAP, recipe) == picture_flops(config, f"{TAP}.sae", recipe)


def test_one_compile_paints_all_latents():
    """Of a dictionary: batches of them are data of one program, whose last batch is filled up."""
    model, quick = small.model().with_dictionary(made(norm="layer_norm")), choose("ghiasi", steps=2, views=1)
    loop.advance.clear_cache()
    pictures = visualize(model, f"{TAP}.sae:0-9", quick, batch=4)
    assert loop.advance._cache_size() == 1 and len(pictures.images) == 10
