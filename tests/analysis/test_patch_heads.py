"""The classifier on patch tokens: by hand in NumPy, pooled, as a map, and refused where it does not fit."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from tests.support import noise, small
from vitjax.analysis.ablations.patch_heads import patch_logits, run
from vitjax.errors import InputError
from vitjax.models.hierarchical.pit import PitConfig
from vitjax.models.registry import abstract

CONFIG = replace(small.CONFIG, depth=1)
MODEL = noise.model(CONFIG)
DATA = noise.dataset(3, 2)  # the second batch is half empty
IMAGES = noise.pixels(DATA)
PATCHES, PREFIX = CONFIG.patches, CONFIG.prefix


def normed(model=MODEL) -> np.ndarray:
    """The tokens after the final norm, worked out in NumPy from the last block."""
    x = np.asarray(small.read(model, IMAGES, reads="blocks.0.resid_post")["blocks.0.resid_post"], np.float64)
    x = (x - x.mean(axis=-1, keepdims=True)) / np.sqrt(x.var(axis=-1, keepdims=True) + 1e-6)
    return x * np.asarray(model.norm.scale[...]) + np.asarray(model.norm.bias[...])


def classified(tokens: np.ndarray, head=MODEL.head) -> np.ndarray:
    return tokens @ np.asarray(head.kernel[...]) + np.asarray(head.bias[...])


def test_patch_logits_are_the_head_on_every_patch_after_the_norm():
    found = patch_logits(MODEL, IMAGES)
    assert found.shape == (3, PATCHES, 10)
    np.testing.assert_allclose(found, classified(normed()[:, PREFIX:]), atol=1e-5)


@pytest.mark.parametrize(
    ("which", "tokens"),
    [("patches", range(PREFIX, PREFIX + PATCHES)), ("patches and class token", [0, *range(PREFIX, PREFIX + PATCHES)])],
)
def test_a_pooled_head_is_the_head_on_the_mean_without_registers(which, tokens):
    by_hand = classified(normed()[:, list(tokens)].mean(axis=1))
    (row,) = (row for row in run(MODEL, DATA).rows if row["head"] == which)
    loss = -np.asarray(jax.nn.log_softmax(by_hand))[np.arange(3), DATA.labels_for(MODEL)]
    assert row["loss"] == pytest.approx(loss.mean(), rel=1e-5)


def test_a_distilled_model_averages_its_classifiers():
    model = noise.model(replace(CONFIG, distilled=True, registers=0))
    tokens = normed(model)[:, 2:]
    by_hand = (classified(tokens, model.head) + classified(tokens, model.head_distilled)) / 2
    np.testing.assert_allclose(patch_logits(model, IMAGES), by_hand, atol=1e-5)


def test_the_table_counts_what_the_logits_say():
    findings = run(MODEL, DATA)
    right = np.asarray(patch_logits(MODEL, IMAGES)).argmax(axis=-1) == DATA.labels_for(MODEL)[:, None]
    patches = [row for row in findings.rows if row["head"] == "patch"]
    np.testing.assert_allclose([row["top1"] for row in patches], right.mean(axis=0))
    assert [(row["token"], row["row"], row["column"]) for row in patches[4:6]] == [
        (PREFIX + 4, 1, 0),
        (PREFIX + 5, 1, 1),
    ]
    others = {row["head"]: row for row in findings.rows if row["head"] != "patch"}
    assert len(others) == len(findings.rows) - PATCHES == 5
    assert others["patch average"]["top1"] == pytest.approx(right.mean())
    best = others["patch maximum"]
    assert best["top1"] == pytest.approx(right.mean(axis=0).max()) == patches[best["token"] - PREFIX]["top1"]
    natural = np.asarray(small.read(MODEL, IMAGES, reads="logits")["logits"]).argmax(axis=-1) == DATA.labels_for(MODEL)
    assert others["class token"]["top1"] == pytest.approx(natural.mean())


def test_batches_and_their_order_change_nothing():
    straight, turned = run(MODEL, DATA), run(MODEL, noise.dataset(3, 1, order=np.arange(3)[::-1]))
    for a, b in zip(straight.rows, turned.rows, strict=True):
        assert a | {"loss": pytest.approx(a["loss"], rel=1e-5)} == b


def test_mistakes_are_named():
    for change in ({"final_norm": "pooled"}, {"final_norm": "none"}, {"pool": "attention"}, {"classes": 0}):
        model = abstract(replace(CONFIG, **change))
        (name, value), *_ = change.items()
        for call in (
            lambda model=model: run(model, noise.dataset(1, 1)),
            lambda model=model: patch_logits(model, IMAGES),
        ):
            with pytest.raises(InputError, match=rf"this model has .*{name}={value!r}"):
                call()


def test_a_norm_of_the_class_token_alone_has_no_patches():
    config = PitConfig((32, 32), (16, 16), (8, 16), (1, 1), (1, 2), (8, 16), classes=10)
    with pytest.raises(InputError, match="the final norm"):
        run(abstract(config), DATA)
