"""Views: they sum to the activations, recursion and closed form agree, what an occluded patch and a lone token show."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import vitjax
from tests.support import noise, small
from vitjax.analysis.views.filters import assembled, constants, cut, evenness, filters, local_views
from vitjax.analysis.views.rollout import attention, mixing, rollout
from vitjax.analysis.views.view_figures import layer_of, run
from vitjax.analysis.views.views import SHARPENED, shown, views
from vitjax.errors import InputError
from vitjax.models.core.config import Preprocess
from vitjax.units.units import Unit

CONFIG = replace(small.CONFIG, preprocess=Preprocess(mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4)))
MODEL = noise.model(CONFIG)
DATA = noise.dataset(3, 2, CONFIG)
IMAGES = jnp.asarray(noise.pixels(DATA)[:2])


@pytest.fixture(scope="module")
def steps():
    """What each block does to tokens, heads averaged: [layer, image, query, key]."""
    return jax.jit(lambda model, images: mixing(attention(model, images).mean(axis=2)))(MODEL, IMAGES)


def normalised(local: np.ndarray) -> np.ndarray:
    """Local views over their highest value, [..., h, w, 3]; 0 where that is not above 0."""
    highest = local.max(axis=(-3, -2, -1), keepdims=True)
    return np.where(highest > 0, local / np.where(highest > 0, highest, 1), 0)


def test_a_view_and_the_constants_sum_to_the_activation():
    embedded = jax.jit(lambda model, images: model(images, "embed")["embed"])(MODEL, IMAGES)[:, 3:]
    sums = local_views(MODEL, IMAGES).sum(axis=(3, 4, 5)) + constants(MODEL)
    np.testing.assert_allclose(sums, embedded, rtol=1e-5, atol=1e-5)


def test_a_view_and_the_constants_sum_to_the_activation_of_real_weights(shared_data):
    model = vitjax.load(shared_data / "vit_tiny_patch16_224", cache=False)
    with Image.open(shared_data / "nguyen" / "dogcat_224.png") as file:
        image = np.asarray(file.convert("RGB"), np.float32)[None] / 255
    embedded = model(image, "embed")["embed"][:, 1:]
    sums = jax.jit(lambda model, image: local_views(model, image).sum(axis=(3, 4, 5)) + constants(model))(model, image)
    assert np.abs(sums - embedded).max() <= 1e-4


def test_filters_are_where_the_embedding_has_them():
    patch = np.zeros((1, 32, 32, 3), np.float32)
    patch[0, 8 + 3, 16 + 5, 2] = 1  # row 1, column 2 of the grid; within it row 3, column 5, blue
    bare = replace(CONFIG, preprocess=Preprocess(mean=(0, 0, 0), std=(1, 1, 1)))
    model = noise.model(bare)
    found = local_views(model, patch)[0]
    by_hand = np.zeros((16, 48, 8, 8, 3))
    by_hand[6, :, 3, 5, 2] = model.patch.kernel[...][(3 * 8 + 5) * 3 + 2]
    np.testing.assert_allclose(found, by_hand, atol=1e-6)
    assert np.array_equal(local_views(model, patch, [7, 40])[0], found[:, [7, 40]])


def test_an_occluded_patch_shows_the_filter_negated():
    black = IMAGES.at[:, 8:16, 16:24].set(0)
    model = noise.model(small.CONFIG)  # mean and std 0.5: black is -1
    assert np.array_equal(local_views(model, black)[:, 6], -np.stack([filters(model)] * 2))


def test_assembling_undoes_cutting():
    images = np.asarray(MODEL.normalise(IMAGES))
    assert np.array_equal(assembled(CONFIG, cut(MODEL, IMAGES)), images)
    assert np.array_equal(cut(MODEL, IMAGES)[1, 7], images[1, 8:16, 24:32])


def test_evenness_of_filters_by_hand():
    rng = np.random.default_rng(0)
    one_colour = np.broadcast_to(np.array([1.0, -2, 0.5]), (8, 8, 3))
    pattern = rng.normal(size=(8, 8, 3))
    pattern -= pattern.mean(axis=(0, 1))
    both = one_colour + pattern * np.sqrt((one_colour**2).sum() / (pattern**2).sum())
    np.testing.assert_allclose(evenness(jnp.asarray(np.stack([one_colour, pattern, both]))), [1, 0, 0.5], atol=1e-6)


def test_the_global_view_before_the_first_block_is_the_filter_on_every_patch():
    found = views(MODEL, IMAGES, units=[5, 11])[:, 0, 0]
    tiled = np.tile(filters(MODEL)[jnp.array([5, 11])], (1, 4, 4, 1))
    np.testing.assert_allclose(16 * found, np.asarray(MODEL.normalise(IMAGES))[:, None] * tiled, rtol=1e-5, atol=1e-5)


def test_before_the_first_block_a_token_sees_its_own_patch_alone():
    found = np.asarray(views(MODEL, IMAGES, tokens=["patch 6", "class"], units=[3]))[:, 0, :, 0]
    np.testing.assert_allclose(found[:, 0, 8:16, 16:24], local_views(MODEL, IMAGES, [3])[:, 6, 0], rtol=1e-6)
    outside = np.ones((32, 32), bool)
    outside[8:16, 16:24] = False
    assert not found[:, 0, outside].any() and not found[:, 1].any()


def propagated(local: jax.Array, steps: jax.Array) -> jax.Array:
    """Views by their definition, V(z_{l+1}^i) = sum over k of S_l[i, k] V(z_l^k): [layer, token, patch, ...].

    `local` are the views of patches before the first block, of one image; tokens before the patches come first.
    """
    patches = jnp.arange(len(local))
    start = jnp.zeros((steps.shape[-1], len(local), *local.shape[1:]))
    start = start.at[steps.shape[-1] - len(local) + patches, patches].set(local)  # each at its own place

    def step(before, now):
        after = jnp.tensordot(now, before, 1, precision="highest")
        return after, after

    return jax.lax.scan(step, start, steps)[1]


@pytest.mark.parametrize("normalise", [None, False])
def test_recursion_and_closed_form_agree(steps, normalise):
    layers, tokens, units = (1, 3, 4), ("class", "patch 9", "patches", "all"), (0, 30)
    found = np.asarray(views(MODEL, IMAGES, layers=layers, tokens=tokens, units=units, normalise=normalise))
    local = np.asarray(local_views(MODEL, IMAGES, units))[1]  # patch unit h w 3
    local = normalised(local) if normalise is None else local
    every = np.asarray(assembled(CONFIG, np.moveaxis(propagated(jnp.asarray(local), steps[:, 1]), 3, 2)))
    rows = {"class": [0], "patch 9": [3 + 9], "patches": range(3, 19), "all": range(19)}
    for t, token in enumerate(tokens):
        by_hand = every[np.array(layers) - 1][:, rows[token]].mean(axis=1)
        np.testing.assert_allclose(found[1, :, t], by_hand, rtol=1e-5, atol=1e-5)


def test_the_closed_form_is_the_rollout_times_the_local_views(steps):
    found = np.asarray(views(MODEL, IMAGES, layers=[2], tokens=["patch 2"], units=[8]))[:, 0, 0, 0]
    rolled = np.asarray(rollout(steps))[1]
    local = normalised(np.asarray(local_views(MODEL, IMAGES, [8])))[:, :, 0]
    by_hand = assembled(CONFIG, jnp.asarray(rolled[:, 3 + 2, 3:, None, None, None] * local))
    np.testing.assert_allclose(found, by_hand, rtol=1e-5, atol=1e-6)


def test_heads_alone_and_the_own_head_of_each_unit():
    probs = jax.jit(attention)(MODEL, IMAGES)
    local = normalised(np.asarray(local_views(MODEL, IMAGES)))
    own = np.asarray(views(MODEL, IMAGES, layers=[0, 4], tokens=["class"], units=[2, 47], heads="own", residual=0.3))
    for u, (unit, head) in enumerate({2: 0, 47: 2}.items()):
        row = np.asarray(rollout(mixing(probs[:, :, head], 0.3)))[3, :, 0, 3:]
        by_hand = assembled(CONFIG, jnp.asarray(row[..., None, None, None] * local[:, :, unit]))
        np.testing.assert_allclose(own[:, 1, 0, u], by_hand, rtol=1e-5, atol=1e-6)
    alone = views(MODEL, IMAGES, layers=[4], tokens=["class"], units=[47], heads="2", residual=0.3)
    np.testing.assert_allclose(alone[:, 0, 0, 0], by_hand, rtol=1e-5, atol=1e-6)
    assert not own[:, 0].any()


def test_a_patch_that_has_nothing_above_zero_is_left_out_after_the_first_block():
    dark = replace(small.CONFIG, width=6, heads=3)
    model = noise.model(dark)
    model.patch.kernel[...] = jnp.abs(model.patch.kernel[...])  # on black, -1, no product is above 0
    image = IMAGES[:1].at[:, 8:16, 16:24].set(0)
    raw, scaled = (
        np.asarray(views(model, image, layers=[1], tokens=["all"], normalise=flag))[0, 0, 0] for flag in (False, None)
    )
    assert (raw[:, 8:16, 16:24] < 0).all() and not scaled[:, 8:16, 16:24].any() and np.isfinite(scaled).all()


def test_shown_goes_from_zero_to_the_highest_of_all_colours():
    view = jnp.array([[[[-2.0, 1, 0.5]]], [[[-1.0, -3, 0]]], [[[0.0, 4, 1]]]])
    assert shown(view).tolist() == [[[[0, 255, 128]]], [[[0, 0, 0]]], [[[0, 255, 64]]]]
    assert shown(view, SHARPENED)[2].tolist() == [[[0, 255, round(255 * 0.25**2.5)]]]


def test_one_compiled_call_for_all_units_layers_and_tokens():
    def pictures(model, images):
        return shown(views(model, images, layers=range(5), tokens=["class", "patches", "patch 15"]))

    assert jax.eval_shape(pictures, MODEL, IMAGES).shape == (2, 5, 3, 48, 32, 32, 3)
    few = jax.jit(lambda model, images: shown(views(model, images, layers=[3], units=[1])))(MODEL, IMAGES)
    assert few.dtype == jnp.uint8 and few.max() == 255


def test_the_layer_of_a_unit():
    sites = {"embed": 0, "blocks.0.resid_pre": 0, "blocks.2.resid_mid": 3, "blocks.3.resid_post": 4}
    assert {tap: layer_of(Unit(tap, (1,))) for tap in sites} == sites


def test_a_run_shows_the_units_named(tmp_path):
    units = ["blocks.2,0.resid_post:7", "embed:7", "embed:30"]
    findings = run(MODEL, DATA, units=units, tokens=["patch 3", "class"], count=2)
    assert [row["unit"] for row in findings.rows[::2]] == [
        unit for _ in range(2) for unit in ("blocks.2.resid_post:7", "blocks.0.resid_post:7", "embed:7", "embed:30")
    ]
    images = noise.pixels(DATA)[[0, 1]]
    by_hand = np.asarray(views(MODEL, images, layers=[3, 1], tokens=["patch 3", "class"], units=[7]))
    row = findings.rows[8]
    assert (row["image"], row["tokens"]) == (DATA.images.names[1], "patch 3")
    assert row["highest"] == pytest.approx(by_hand[1, 0, 0].max(), rel=1e-5)
    _, y, x, _ = np.unravel_index(by_hand[1, 0, 0].argmax(), by_hand[1, 0, 0].shape)
    assert (row["row"], row["column"]) == (y // 8, x // 8)
    assert row["positive"] == pytest.approx(
        (by_hand[1, 0, 0] > 0).mean(), abs=0.005
    )  # some bytes are the mean: 0, or nearly
    lone = findings.rows[4]
    assert (lone["unit"], lone["row"], lone["column"]) == ("embed:7", 0, 3)
    pictures = findings.figures[""].axes[0].images
    assert len(pictures) == 2 * (2 + 3 * 2 + 2 + 1 * 2)  # image and filter; three taps of one filter, one of the other
    findings.save(tmp_path)


def test_a_run_finds_its_own_units():
    findings = run(MODEL, DATA, count=1)
    even = np.argsort(-np.asarray(evenness(filters(MODEL))))[:3]
    assert {int(row["unit"].split(":")[1]) for row in findings.rows} == set(even.tolist())
    assert {row["tokens"] for row in findings.rows} == {"patches", "class"}


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: views(MODEL, IMAGES, layers=[5]),
            "layer 5 is out of range: layers count the blocks gone through, 0-4",
        ),
        (lambda: views(MODEL, IMAGES, layers=[]), "no layers are given"),
        (lambda: views(MODEL, IMAGES, units=[48]), r"unit 48 is out of range: there are 48 filters \(0-47\)"),
        (lambda: views(MODEL, IMAGES, units=[-1]), "unit -1 is out of range"),
        (lambda: views(MODEL, IMAGES, units=[]), "no units are given"),
        (lambda: views(MODEL, IMAGES, tokens=["patch 16"]), "'patch 16' is out of range, this tap has 16 patches"),
        (lambda: views(MODEL, IMAGES, tokens=["token 3"]), "unknown tokens 'token 3'"),
        (lambda: views(MODEL, IMAGES, heads=3), "heads=3: write mean, own, or a head's number, 0-2"),
        (lambda: views(MODEL, IMAGES, heads="max"), "heads='max': write mean"),
        (lambda: views(MODEL, IMAGES, layers=[1], residual=-1), "residual is -1, it must be at least 0 and below 1"),
        (lambda: views(MODEL, IMAGES[:, :, :24]), r"images have shape \(2, 32, 24, 3\), this model takes"),
        (lambda: run(MODEL, DATA, units="blocks.1.mlp.hidden:3"), "blocks.1.mlp.hidden:3 has no view: only units of"),
        (lambda: run(MODEL, DATA, units="embed:48"), "embed:48: 48 is out of range"),
        (lambda: run(MODEL, DATA, tokens=["patch"]), "unknown tokens 'patch'"),
    ],
)
def test_mistakes_are_named(call, words):
    with pytest.raises(InputError, match=words) as error:
        call()
    assert "\n" not in str(error.value)


@pytest.mark.exhaustive
def test_the_checks_against_the_paper_say_what_they_lack():
    command = [sys.executable, "-m", "experiments.nguyen.checks"]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=120)
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and len(lines) > 10
    assert all(line.startswith("skipped") and "needs --" in line for line in lines)
