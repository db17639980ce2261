"""Rollout and attention maps: rows that sum to 1, products by hand, gradients by differences, the analysis."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.support import noise, small
from vitjax.analysis.study.blocks import stream
from vitjax.analysis.views.attention_maps import effective_patches, even_attention, own_share, reach, run
from vitjax.analysis.views.rollout import at_grid, attention, gradient_weighted, mixing, relevance, rollout
from vitjax.errors import InputError
from vitjax.models.core.config import ViTConfig

CONFIG = small.CONFIG
DATA = noise.dataset(5, 2)
IMAGES = jnp.asarray(noise.pixels(DATA)[:2])
MODEL = noise.model(CONFIG)
SHALLOW = noise.model(replace(CONFIG, depth=2))
SITE = stream(MODEL)


@pytest.fixture(scope="module")
def probs():
    """The attention of every block, [layer, image, head, query, key]."""
    return np.asarray(jax.jit(attention)(MODEL, IMAGES))


def test_attention_is_that_of_each_block_in_order(probs):
    values = jax.jit(lambda model, images: model(images, ["blocks.0.attn.probs", "blocks.3.attn.probs"]))(MODEL, IMAGES)
    for i in (0, 3):
        np.testing.assert_allclose(probs[i], values[f"blocks.{i}.attn.probs"], rtol=1e-5, atol=1e-7)
    assert jax.eval_shape(lambda: attention(MODEL, IMAGES, 2)).shape == (2, *probs.shape[1:])


def test_the_rows_of_a_rollout_sum_to_one(probs):
    rolled = np.asarray(rollout(mixing(probs.mean(axis=2))))
    np.testing.assert_allclose(rolled.sum(axis=-1), 1, atol=1e-5)
    assert (rolled[0].diagonal(axis1=1, axis2=2) >= 0.5).all() and (rolled >= 0).all()


@pytest.mark.parametrize("residual", [0, 0.25, 0.5])
def test_a_rollout_is_the_product_of_what_the_blocks_do(probs, residual):
    mean, product = probs.mean(axis=2)[:, 1].astype(np.float64), np.eye(CONFIG.tokens)
    for layer, found in enumerate(rollout(mixing(probs.mean(axis=2), residual))):
        product = ((1 - residual) * mean[layer] + residual * np.eye(CONFIG.tokens)) @ product
        np.testing.assert_allclose(found[1], product, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(relevance(MODEL, IMAGES, residual=residual)[-1, 1], product, rtol=1e-4, atol=1e-7)


def test_heads_roll_out_apart(probs):
    apart = rollout(mixing(probs))
    np.testing.assert_allclose(apart[:, :, 2], rollout(mixing(probs[:, :, 2])), rtol=1e-5, atol=1e-8)


def test_attention_is_weighted_by_the_gradient_of_a_class():
    classes, (layer, image, query) = jnp.array([3, 7]), (0, 1, 4)
    found = np.asarray(jax.jit(gradient_weighted)(SHALLOW, IMAGES, classes))
    key, tap = found[layer, image, query].argmax(), f"blocks.{layer}.attn.probs"

    @jax.jit
    def logit(added):  # to one probability of each head
        edit = lambda probs: probs.at[image, :, query, key].add(added)
        values = SHALLOW(IMAGES, [tap, "logits"], {tap: edit})
        return values["logits"][image, classes[image]], values[tap][image, :, query, key]

    steps = 0.02 * np.eye(3, dtype=np.float32)
    slopes = np.array([float(logit(step)[0] - logit(-step)[0]) / 0.04 for step in steps])
    by_hand = np.maximum(slopes * np.asarray(logit(0 * steps[0])[1]), 0).mean()
    assert found[layer, image, query, key] == pytest.approx(by_hand, rel=0.02) and by_hand > 1e-4
    assert (found >= 0).all()
    assert not found[-1, :, 1:].any()  # after the last block the head reads the class token alone


def test_the_class_is_the_models_choice_where_none_is_named():
    logits = jax.jit(lambda model, images: model(images)["logits"])(SHALLOW, IMAGES)
    chosen = jax.jit(gradient_weighted)(SHALLOW, IMAGES, logits.argmax(axis=1))
    found = relevance(SHALLOW, IMAGES, "gradient")
    steps = np.eye(CONFIG.tokens) + np.asarray(chosen)
    np.testing.assert_allclose(found[0], steps[0], rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(found[1], steps[1] @ steps[0], rtol=1e-4, atol=1e-7)


def test_maps_are_the_rows_of_tokens_at_the_patches(probs):
    found = jnp.asarray(probs.mean(axis=2))
    assert np.array_equal(at_grid(found, "class", SITE), found[..., 0, 3:].reshape(4, 2, 4, 4))
    assert np.array_equal(at_grid(found, "patch 6", SITE), found[..., 9, 3:].reshape(4, 2, 4, 4))
    by_hand = found[..., 3:, 3:].mean(axis=-2).reshape(4, 2, 4, 4)
    np.testing.assert_allclose(at_grid(found, "patches", SITE), by_hand, rtol=1e-6)
    np.testing.assert_allclose(relevance(MODEL, IMAGES, "attention"), found, rtol=1e-5, atol=1e-7)


def test_measures_of_a_matrix_by_hand():
    config = ViTConfig(image_size=(8, 8), patch_size=(4, 4), width=4, depth=1, heads=1, mlp_width=4, classes=0)
    matrix = np.full((5, 5), 0.1)
    matrix[1:, 1:] = [[0.4, 0.1, 0.2, 0.2], [0.1, 0.8, 0, 0], [0, 0.3, 0.3, 0.3], [0.1, 0.1, 0.1, 0.6]]
    assert own_share(matrix, config.prefix) == pytest.approx(np.mean([0.4, 0.8, 0.3, 0.6]))
    assert reach(matrix, config.prefix) == pytest.approx(np.median([0.5, 0, 1, 1 / 6]))
    maps = np.array([np.ones((2, 2)), [[0, 3], [0, 0]], [[1, 1], [0, 0]]])
    np.testing.assert_allclose(effective_patches(maps), [4, 1, 2], rtol=1e-6)


def test_even_attention_is_what_depth_alone_does():
    found = even_attention(MODEL, 0.25)
    own = 0.25 ** np.arange(1, 5)
    other = (1 - own) / CONFIG.tokens
    np.testing.assert_allclose(found["own"], own + other, rtol=1e-5)
    np.testing.assert_allclose(found["reach"], other / (own + other), rtol=1e-5)


@pytest.mark.parametrize("method", ["rollout", "attention"])
def test_a_run_measures_every_image_once(method, tmp_path):
    findings = run(SHALLOW, DATA, method=method, layers=[2, 1], count=2)
    found = np.asarray(relevance(SHALLOW, noise.pixels(DATA), method))
    maps = np.asarray(at_grid(found, "class", SITE))
    assert [row["layer"] for row in findings.rows] == [1, 2] and findings.rows[0]["images"] == 5
    for row in findings.rows:
        i, flat = row["layer"] - 1, maps[row["layer"] - 1].reshape(5, -1).astype(np.float64)
        share = flat / flat.sum(axis=1, keepdims=True)
        spread = np.exp(-(share * np.log(np.maximum(share, 1e-300))).sum(axis=1))
        assert row["patches"] == pytest.approx(spread.mean(), rel=1e-4)
        assert row["patches_error"] == pytest.approx(spread.std(ddof=1) / 5**0.5, rel=1e-3)
        assert row["own"] == pytest.approx(float(own_share(found[i], CONFIG.prefix).mean()), rel=1e-4)
        assert ("reach_even" in row) == (method == "rollout")
    assert len(findings.figures[""].axes[0].images) == 2 * (1 + 2) + 1  # and the colour bar
    findings.save(tmp_path)


def test_one_image_has_no_error_and_a_model_without_class_token_maps_its_patches():
    config = ViTConfig(
        image_size=(16, 16), patch_size=(8, 8), width=12, depth=2, heads=2, mlp_width=8, classes=3,
        class_token=False, pool="mean",
    )  # fmt: skip
    findings = run(noise.model(config), noise.dataset(1, 1, config))
    assert findings.rows[1]["own_error"] is None and findings.settings["tokens"] == "patches"


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: relevance(MODEL, IMAGES, "rolout"), r"unknown method 'rolout' \(did you mean rollout\?\)"),
        (lambda: relevance(MODEL, IMAGES, "attention", 0.5), "residual=0.5 has no meaning for method 'attention'"),
        (lambda: relevance(MODEL, IMAGES, residual=1), "residual is 1, it must be at least 0 and below 1"),
        (lambda: relevance(MODEL, IMAGES[:, :16]), r"images have shape \(2, 16, 32, 3\), this model takes"),
        (lambda: relevance(MODEL, IMAGES[0]), r"images have shape \(32, 32, 3\)"),
        (lambda: relevance(MODEL, (255 * IMAGES).astype(jnp.uint8)), "images are uint8, a model takes floats"),
        (lambda: run(MODEL, DATA, layers=[0]), "layer 0 is out of range: layers count the blocks gone through, 1-4"),
        (lambda: run(MODEL, DATA, layers=[5]), "layer 5 is out of range"),
        (lambda: run(MODEL, DATA, tokens="patch 16"), "'patch 16' is out of range, this tap has 16 patches"),
        (lambda: run(MODEL, DATA, tokens="cls"), "unknown tokens 'cls'"),
    ],
)
def test_mistakes_are_named(call, words):
    with pytest.raises(InputError, match=words) as error:
        call()
    assert "\n" not in str(error.value)


def test_gradients_need_a_head():
    config = ViTConfig(image_size=(8, 8), patch_size=(8, 8), width=4, depth=1, heads=1, mlp_width=4, classes=0)
    with pytest.raises(InputError, match="need a head"):
        gradient_weighted(noise.model(config), jnp.zeros((1, 8, 8, 3)))
