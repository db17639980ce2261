"""Positions taken away and patches shuffled: what must not change, what must, and that no image knows its batch."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.support import noise, small
from vitjax.analysis.ablations.accuracy import evaluate
from vitjax.analysis.ablations.positions import (
    conditions,
    permutations,
    random_positions,
    run,
    shuffled,
    without_positions,
)
from vitjax.models.hierarchical.pit import PitConfig

MODEL = noise.model(replace(small.CONFIG, depth=1))
DATA = noise.dataset(4, 3)  # the second batch holds one
IMAGES = jnp.asarray(noise.pixels(DATA))
SIZE, PATCHES = small.CONFIG.patch_size, small.CONFIG.patches

plain = jax.jit(lambda model, images: model(images, "logits")["logits"])


def cut(image: np.ndarray) -> list[np.ndarray]:
    """The 8x8 patches of an image, row by row."""
    return [image[y : y + 8, x : x + 8] for y in range(0, 32, 8) for x in range(0, 32, 8)]


def test_shuffling_moves_patches_whole_and_its_inverse_restores_them():
    order = permutations(IMAGES, 0, PATCHES)
    mixed = shuffled(IMAGES, order, SIZE)
    assert (np.sort(order, axis=1) == np.arange(PATCHES)).all()
    for before, after, places in zip(np.asarray(IMAGES), np.asarray(mixed), order, strict=True):
        patches = cut(before)
        assert all(np.array_equal(patches[i], patch) for i, patch in zip(places, cut(after), strict=True))
    assert not np.array_equal(mixed, IMAGES)
    assert np.array_equal(shuffled(mixed, jnp.argsort(order, axis=1), SIZE), IMAGES)


def test_oblong_patches_and_grids():
    image = jnp.arange(2 * 8 * 12 * 3.0).reshape(2, 8, 12, 3)
    swap = jnp.tile(jnp.array([1, 0, 3, 2]), (2, 1))
    by_hand = jnp.concatenate([image[:, :, 6:], image[:, :, :6]], axis=2)
    assert np.array_equal(shuffled(image, swap, (4, 6)), by_hand)


def test_the_order_depends_on_the_image_and_the_seed_alone():
    order = permutations(IMAGES, 3, PATCHES)
    assert np.array_equal(permutations(IMAGES[::-1], 3, PATCHES)[::-1], order)
    assert np.array_equal(permutations(IMAGES[2:3], 3, PATCHES), order[2:3])
    assert len({tuple(row.tolist()) for row in order}) == len(order)
    assert not np.array_equal(permutations(IMAGES, 4, PATCHES), order)
    nearly = IMAGES.at[0, 5, 5, 1].set((IMAGES[0, 5, 5, 1] + 0.5) % 1)
    differs = (permutations(nearly, 3, PATCHES) != order).any(axis=1)
    assert differs.tolist() == [True, False, False, False]


def test_without_positions_the_order_of_the_patches_makes_no_difference():
    mixed = shuffled(IMAGES, permutations(IMAGES, 0, PATCHES), SIZE)
    bare = without_positions(MODEL)
    np.testing.assert_allclose(plain(bare, mixed), plain(bare, IMAGES), atol=1e-5)
    assert np.abs(plain(MODEL, mixed) - plain(MODEL, IMAGES)).max() > 1e-3


def test_only_the_positions_of_the_copy_are_changed():
    before = np.asarray(MODEL.position[...])
    bare, mixed = without_positions(MODEL), random_positions(MODEL, 1, std=0.5)
    embed = lambda model: np.asarray(model(IMAGES, "embed")["embed"])
    prefix = small.CONFIG.prefix
    for other, positions in ((bare, np.zeros_like(before)), (mixed, np.asarray(mixed.position[...]))):
        by_hand = np.concatenate([np.zeros((prefix, 48)), positions - before])
        np.testing.assert_allclose(embed(other) - embed(MODEL), np.tile(by_hand, (4, 1, 1)), atol=1e-5)
    assert np.array_equal(before, MODEL.position[...])
    assert np.std(mixed.position[...]) == pytest.approx(0.5, rel=0.1)
    assert not np.array_equal(mixed.position[...], random_positions(MODEL, 2, std=0.5).position[...])


def test_the_table_counts_what_the_logits_say():
    mixed = shuffled(IMAGES, permutations(IMAGES, 2, PATCHES), SIZE)
    by_hand = {
        "plain": plain(MODEL, IMAGES),
        "no positions": plain(without_positions(MODEL), IMAGES),
        "random positions": plain(random_positions(MODEL, 2), IMAGES),
        "patches shuffled": plain(MODEL, mixed),
    }
    rows = run(MODEL, DATA, seed=2).rows
    assert [row["condition"] for row in rows] == list(by_hand)
    for row, logits in zip(rows, by_hand.values(), strict=True):
        loss = -jax.nn.log_softmax(logits)[np.arange(4), DATA.labels_for(MODEL)]
        assert row["images"] == 4 and row["loss"] == pytest.approx(float(loss.mean()), rel=1e-5)
    assert len({row["loss"] for row in rows}) == len(rows)


@pytest.mark.parametrize("order", [[3, 2, 1, 0], [2]])
def test_batches_and_their_order_change_nothing(order):
    condition = {"shuffled": conditions(1)["patches shuffled"]}
    data = noise.dataset(4, 1, order=np.array(order))
    straight = evaluate(MODEL, DATA.batches(), DATA.labels_for(MODEL), condition)["shuffled"]
    other = evaluate(MODEL, data.batches(), data.labels_for(MODEL), condition)["shuffled"]
    np.testing.assert_allclose(other.loss, straight.loss[order], rtol=1e-5)


def test_positions_that_nothing_resamples_are_positions_too():
    config = PitConfig((32, 32), (16, 16), (8, 16), (1, 1), (1, 2), (8, 16), classes=10)
    model = noise.model(config)
    assert np.abs(model.position[...]).min() > 0
    assert not without_positions(model).position[...].any()
    assert np.array_equal(without_positions(model).prefix[...], model.prefix[...])
