"""Masked image modelling as a task: decoder, targets, loss, masks in a step. E: see the specification."""

from dataclasses import replace
from functools import cache
from itertools import islice

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import vitjax
from tests.support import green
from vitjax.errors import InputError
from vitjax.models.hierarchical.swin import Swin
from vitjax.train.green import targets
from vitjax.train.green.bank import draw
from vitjax.train.green.decoder import sines, stands
from vitjax.train.green.encode import Encoding
from vitjax.train.green.mim import GreenConfig, GreenMIM
from vitjax.weights import parameters
from vitjax.weights.publish.converted import export
from vitjax.weights.publish.provenance import Card

CONFIG = GreenConfig(green.SWIN, bank=50, decoder_width=16, decoder_heads=2)
TASK = GreenMIM(CONFIG)


@cache
def start():
    return jax.jit(lambda: TASK.start(nnx.Rngs(0)))()


def test_e10_latents_stand_where_their_units_do():
    place, right = jax.jit(start().decoder.placed), []
    latents = jnp.arange(1.0, 17)[None, :, None] * jnp.ones(16)
    for drawn in islice(draw(64, 16, 0), 100):
        due = np.zeros(64)
        due[np.sort(drawn)] = np.arange(1, 17)
        at = lambda order, drawn=drawn: np.asarray(place(latents, stands(drawn, order))[0, :, 0])
        assert (at("raster")[due > 0] == due[due > 0]).all() and (abs(at("raster")[due == 0]) < 0.1).all()
        right.append((at("reference") == due)[due > 0].sum())
    assert 0.7 < np.mean(right) < 1.3  # of 16; by the authors' code about one, of however many


def test_e11_the_loss_is_that_of_numpy_and_pulls_at_masked_units_alone():
    rng = np.random.default_rng(0)
    images, predicted = rng.uniform(size=(2, 8, 12, 3)), rng.standard_normal((2, 6, 48)).astype(np.float32)
    units = images.reshape(2, 2, 4, 3, 4, 3).transpose(0, 1, 3, 2, 4, 5).reshape(2, 6, 48)
    wanted = (units - units.mean(-1, keepdims=True)) / np.sqrt(units.var(-1, keepdims=True, ddof=1) + 1e-6)
    masked = np.array([1, 0, 1, 1, 0, 1], bool)
    due = (np.square(predicted - wanted).mean(-1) * masked).sum() / (2 * masked.sum())
    aims = targets.targets(jnp.asarray(images, jnp.float32), (4, 4))
    found, pulls = jax.value_and_grad(targets.loss)(jnp.asarray(predicted), aims, jnp.asarray(masked))
    np.testing.assert_allclose(found, due, 1e-5)
    assert (np.asarray(pulls)[:, ~masked] == 0).all() and (np.asarray(pulls)[:, masked] != 0).all()
    raw = targets.targets(jnp.asarray(images, jnp.bfloat16), (4, 4), normalised=False)
    assert raw.dtype == jnp.float32
    np.testing.assert_allclose(raw, units, 0, 0.01)
    assert (targets.joined(units, (4, 4), (2, 3)) == images).all()
    assert np.flatnonzero(~targets.hidden(6, jnp.array([1, 4]))).tolist() == [1, 4]


def test_e12_fifty_masks_are_one_compile():
    images, losses = green.images(green.SWIN, 4), []
    step = jax.jit(lambda learned, batch, key: TASK.loss(learned, batch, key)[0])
    for number in range(50):
        losses.append(float(step(start(), {"images": images}, jax.random.key(number))))
    assert step._cache_size() == 1 and len(set(losses)) > 25 and np.isfinite(losses).all()


def test_each_image_may_have_a_mask_of_its_own():
    task = GreenMIM(replace(CONFIG, mask_per="image"))
    images = np.repeat(green.images(green.SWIN, 1), 3, axis=0)
    found = jax.jit(task._each, static_argnums=2)(images, jax.random.key(0), lambda images, plan: plan.drawn)
    assert found.shape == (3, 16) and len({tuple(row) for row in found.tolist()}) == 3
    loss, more = jax.jit(task.loss)(start(), {"images": images}, jax.random.key(0))
    alone = jax.jit(lambda learned, images, plan: TASK.loss_of(learned, images, plan))
    plans = [int(np.flatnonzero((CONFIG.masks[1].drawn == row).all(axis=1))[0]) for row in np.asarray(found)]
    due = [alone(start(), images[:1], green.picked(CONFIG.masks[1], number)) for number in plans]
    np.testing.assert_allclose(loss, np.mean(due), 1e-5)
    assert more == {}


def test_each_device_has_a_mask_of_its_own(monkeypatch):
    monkeypatch.setattr(jax, "device_count", lambda: 4)
    drawn = lambda count: TASK._each(np.zeros((count, 2)), jax.random.key(0), lambda images, plan: plan.drawn)
    assert drawn(8).shape == (4, 16) and len({tuple(row) for row in drawn(8).tolist()}) == 4
    assert drawn(6).shape == (2, 16)  # which four devices could not share


def test_pictures_show_image_mask_and_reconstruction():
    images = green.images(green.SWIN, 2)
    shown = TASK.samples(start(), {"images": images}, jax.random.key(1))
    assert shown.shape == (2, 32, 96, 3) and shown.dtype == np.uint8
    original, seen, predicted = np.split(shown, 3, axis=2)
    there = (seen == original).all(axis=(0, 3)).reshape(8, 4, 8, 4).all(axis=(1, 3))
    pixels = there.repeat(4, 0).repeat(4, 1)
    assert there.sum() == 16 and (predicted[:, pixels] == original[:, pixels]).all()
    assert (seen[:, ~pixels] == np.round(255 * np.array(green.SWIN.preprocess.mean))).all()


def test_all_that_is_learned_starts_as_the_authors_start_it():
    learned = start()
    assert isinstance(learned.model, Swin)
    qkv = np.asarray(learned.model.stages[0].plain.attn.attn.qkv.kernel[...])
    assert 0.95 < abs(qkv).max() / np.sqrt(6 / (8 + 24)) <= 1
    assert (np.asarray(learned.decoder.blocks.mlp.fc1.bias[...]) == 0).all()
    table = np.asarray(learned.model.stages[1].last.attn.attn.bias.distances[...])
    assert 0.017 < table.std() < 0.023 and 0.01 < np.asarray(learned.decoder.masked[...]).std() < 0.04
    assert (np.asarray(learned.model.norm.scale[...]) == 1).all()


def test_what_is_learned_is_an_ordinary_model(tmp_path):
    model = start().model
    model.card = Card("pretrained", "", "", "", "", "own-1")
    export(model, tmp_path / "pretrained")
    again = vitjax.load(str(tmp_path / "pretrained"))
    assert again.config == green.SWIN
    due = parameters.values(model)
    assert all((array == due[name]).all() for name, array in parameters.values(again).items())


def test_positions_tell_columns_then_rows():
    found = sines((2, 3), 8)
    assert found.shape == (6, 8) and (found[0] == [0, 0, 1, 1] * 2).all()
    of = lambda *angles: [*np.sin(angles), *np.cos(angles)]
    np.testing.assert_allclose(found[5], of(2, 0.02) + of(1, 0.01))


@pytest.mark.parametrize(
    "settings",
    [{"mask_per": "batch"}, {"bank": 0}, {"decoder_order": "rasta"}],
)
def test_bad_settings_are_one_line(settings):
    with pytest.raises(InputError, match=next(iter(settings)).split("_")[0]):
        replace(CONFIG, **settings)
    with pytest.raises(InputError, match="merge_order"):
        Encoding(merge_order="column")
