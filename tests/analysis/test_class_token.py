"""The class token cut off from the patches: against passes made by hand, at the ends of the curves, as a table."""

from dataclasses import replace
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.support import noise, small
from vitjax.analysis.ablations.class_token import class_only, class_only_logits, isolated, isolated_logits, run
from vitjax.errors import InputError
from vitjax.models.registry import abstract

CONFIG = replace(small.CONFIG, depth=2)
MODEL = noise.model(CONFIG)
DATA = noise.dataset(3, 2)  # the second batch is half empty
IMAGES = noise.pixels(DATA)
DEPTH, PREFIX = CONFIG.depth, CONFIG.prefix
EDITS = {"isolated": isolated, "class only": class_only}


def read(taps, edits=None, model=MODEL, images=IMAGES):
    """What the model computes, compiled at once."""
    return jax.jit(lambda model, images: model(images, taps, edits or {}))(model, images)


@cache
def logits(intervention: str, layer: int) -> np.ndarray:
    return np.asarray(read("logits", EDITS[intervention](MODEL, layer))["logits"])


def test_the_plain_ends_of_the_curves_are_the_plain_model():
    assert isolated(MODEL, 0) == class_only(MODEL, DEPTH) == {}


@pytest.mark.parametrize("layer", [1, DEPTH])
def test_isolating_is_two_passes_side_by_side(layer):
    taps = [f"blocks.{i}.resid_post" for i in range(layer)]
    together = read(taps, isolated(MODEL, layer))[taps[-1]]
    prefix = read(taps, {"embed": lambda x: x[:, :PREFIX]})[taps[-1]]
    patches = read(taps, {"embed": lambda x: x[:, PREFIX:]})[taps[-1]]
    np.testing.assert_allclose(together, jnp.concatenate([prefix, patches], axis=1), rtol=1e-5, atol=1e-5)


def test_isolated_tokens_do_not_attend_to_each_other_but_in_later_blocks():
    taps = [f"blocks.{i}.attn.probs" for i in range(DEPTH)]
    probs = read(taps, isolated(MODEL, 1))
    across = [float(probs[tap][..., :PREFIX, PREFIX:].sum() + probs[tap][..., PREFIX:, :PREFIX].sum()) for tap in taps]
    assert across[0] == 0 and across[1] > 1


def test_a_token_that_goes_on_alone_keeps_what_it_has_seen():
    kept = read("blocks.0.resid_post")["blocks.0.resid_post"][:, :PREFIX]
    edits = {"embed": lambda _: jnp.zeros((3, PREFIX, 48)), "blocks.1.resid_pre": lambda _: kept}
    by_hand = read("logits", edits)["logits"]
    np.testing.assert_allclose(logits("class only", 1), by_hand, atol=1e-5)
    assert np.ptp(by_hand, axis=0).max() > 1e-3


def test_a_token_that_never_saw_a_patch_knows_nothing_of_the_image():
    never = logits("class only", 0)
    np.testing.assert_allclose(logits("isolated", DEPTH), never, atol=1e-5)
    np.testing.assert_allclose(never, never[[1, 2, 0]], atol=1e-6)


@pytest.mark.parametrize(("curve", "name"), [(isolated_logits, "isolated"), (class_only_logits, "class only")])
def test_a_curve_in_one_pass_is_that_of_the_edits_one_by_one(curve, name):
    layers = (0, DEPTH, 1)
    found = jax.jit(curve, static_argnums=2)(MODEL, IMAGES, layers)
    assert found.shape == (3, 3, 10)
    for i, layer in enumerate(layers):
        np.testing.assert_allclose(found[:, i], logits(name, layer), atol=1e-4)


def test_the_table_counts_what_the_logits_say():
    rows = run(MODEL, DATA).rows
    assert [(row["intervention"], row["layer"]) for row in rows] == [(n, i) for n in EDITS for i in range(DEPTH + 1)]
    for row in rows:
        found = logits(row["intervention"], row["layer"])
        right = np.argsort(-found, axis=-1) == DATA.labels_for(MODEL)[:, None]
        assert row["images"] == 3 and row["top1"] == pytest.approx(right[:, 0].mean())
        assert row["top5"] == pytest.approx(right[:, :5].any(axis=1).mean())
        loss = -jax.nn.log_softmax(found)[np.arange(3), DATA.labels_for(MODEL)]
        assert row["loss"] == pytest.approx(float(loss.mean()), rel=1e-4)
    assert rows[0]["loss"] == rows[-1]["loss"]


def test_both_tokens_of_a_distilled_model_go_on_and_one_image_is_enough():
    config = replace(CONFIG, distilled=True, registers=0, depth=1)
    model, data = noise.model(config), noise.dataset(1, 1, config)
    (row,) = (row for row in run(model, data, layers=[0]).rows if row["intervention"] == "class only")
    found = read("logits", {"embed": lambda x: x[:, :2]}, model, noise.pixels(data))["logits"]
    assert row["loss"] == pytest.approx(-float(jax.nn.log_softmax(found)[0, data.labels_for(model)[0]]), rel=1e-4)


@pytest.mark.parametrize(
    ("change", "layer", "words"),
    [
        ({"pool": "mean", "class_token": False}, 1, r"no class token that a head reads in this model \(pool='mean'\)"),
        ({"classes": 0}, 1, "classes=0"),
        ({}, 5, "layer 5 is out of range: layers count the blocks gone through, 0-2"),
        ({}, -1, "layer -1 is out of range"),
    ],
)
def test_mistakes_are_named(change, layer, words):
    config = replace(CONFIG, **change)
    for edits in EDITS.values():
        with pytest.raises(InputError, match=words):
            edits(abstract(config), layer)
    lacking = "class-token needs a model with class token; this one can do: exemplars, maps"
    with pytest.raises(InputError, match=words if config.class_token else lacking):
        run(abstract(config), DATA, layers=[layer])
    with pytest.raises(InputError, match="layers is empty"):
        run(abstract(CONFIG), DATA, layers=[])
