"""Turned and moved images: as Pillow and NumPy have them, and what is left of activations on them."""

import numpy as np
import pytest

from tests.support import noise, small
from tests.support.pictures import photo
from vitjax.analysis.photographs.exemplars import exemplars
from vitjax.analysis.units.invariance import ANGLES, STEPS, ratios, retained, rotated, run_rotation, run_shift, shifted
from vitjax.data.pipeline import pixels
from vitjax.errors import InputError

TAPS = ["blocks.0.mlp.hidden", "blocks.3.mlp.hidden"]


def near_a_border(angle: float, height: int, width: int) -> np.ndarray:
    """The pixels whose origin is as near to one pixel as to the next: there rounding decides."""
    y, x = np.mgrid[:height, :width] + 0.5
    y, x, turn = y - height / 2, x - width / 2, np.deg2rad(angle)
    origins = np.sin(turn) * x + np.cos(turn) * y + height / 2, np.cos(turn) * x - np.sin(turn) * y + width / 2
    return np.logical_or(*(np.abs(origin - np.round(origin)) < 3e-3 for origin in origins))


@pytest.mark.parametrize("size", [(224, 224), (33, 48)])
def test_images_are_turned_as_pillow_turns_them(size):
    height, width = size
    image = photo(width, height)
    for angle in (*ANGLES, 3.7, -45):
        found = np.asarray(rotated(np.asarray(image)[None], angle))[0]
        same = (found == np.asarray(image.rotate(angle))).all(axis=-1)
        assert np.all(same | near_a_border(angle, height, width)), angle
        assert angle % 90 == 0 or same.mean() > 0.98


def test_each_image_has_its_own_angle_and_full_turns_change_nothing():
    images = np.stack([np.asarray(photo(32, 32, seed)) for seed in range(4)])
    found = np.asarray(rotated(images, np.array([0.0, 180.0, 90.0, 360.0])))
    wanted = [images[0], images[1, ::-1, ::-1], np.rot90(images[2]), images[3]]
    assert np.array_equal(found[:2], wanted[:2])
    assert (found[2:] == wanted[2:]).mean() > 0.9  # in floats a quarter turn and a full one are not exact


def test_what_leaves_an_image_on_one_side_enters_on_the_other():
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 6, 3), np.uint8)
    by = np.array([[0, 0], [4, 1], [12, 8]])
    wanted = [np.roll(image, one, (0, 1)) for image, one in zip(images, by, strict=True)]
    assert np.array_equal(shifted(images, by), wanted)


def test_ratios_are_means_over_all_views_and_never_below_zero():
    values = np.array([[2.0, 1.0, -1.0, 0.0, 4.0], [1.0, -4.0, -1.0, 5.0, 4.0]])
    assert ratios(values).tolist()[:2] == [0.75, 0] and ratios(values)[4] == 1
    assert np.isnan(ratios(values)[2:4]).all()
    row = retained(values)
    assert (row["units"], row["silent"], row["before"], row["after"]) == (5, 2, 1.2, 1.1 / 2 * 2)
    assert row["ratio"] == pytest.approx(1.75 / 3)
    assert row["ratio_error"] == pytest.approx(np.std([0.75, 0, 1]) / np.sqrt(3))


def test_a_unit_is_followed_on_its_own_image():
    model, data = small.model(), noise.dataset(6, batch=4)
    found = exemplars(model, data, TAPS, k=1)
    findings = run_rotation(model, data, taps=TAPS, angles=(0, 180), found=found)
    natural = found.taps[TAPS[1]]
    upright = pixels(data.images, natural.place[:, 0], data.config)
    read = lambda images: np.asarray(small.read(model, images / np.float32(255), reads=TAPS[1])[TAPS[1]])
    views = [read(images) for images in (upright, upright[:, ::-1, ::-1])]
    values = np.stack([np.diagonal(view[:, 3:].mean(axis=1)) for view in views])
    row = findings.rows[1]
    assert row["before"] == pytest.approx(natural.score[:, 0].mean(), rel=1e-4)
    assert row["after"] == pytest.approx(values.mean(), rel=1e-4)
    assert row["ratio"] == pytest.approx(np.nanmean(ratios(values)), rel=1e-3)


def test_nothing_is_lost_where_nothing_is_turned():
    findings = run_rotation(small.model(), noise.dataset(5, batch=2), taps=TAPS, angles=(0, 360 * 0))
    assert [row["ratio"] for row in findings.rows] == pytest.approx([1, 1])
    assert [row["before"] for row in findings.rows] == pytest.approx([row["after"] for row in findings.rows])


@pytest.mark.exhaustive
def test_batches_change_nothing(tmp_path):
    model = small.model()
    a, b = (run_shift(model, noise.dataset(7, batch=size), steps=(0, 5)) for size in (2, 7))
    assert [row["tap"] for row in a.rows] == [f"blocks.{i}.mlp.hidden" for i in range(4)]
    for one, other in zip(a.rows, b.rows, strict=True):
        np.testing.assert_allclose(list(one.values())[1:], list(other.values())[1:], rtol=1e-3)
    assert a.settings["best_images"] <= 7
    a.save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"shift.json", "shift.csv", "shift.png"}


def test_the_published_views():
    assert len(ANGLES) == 18 and ANGLES[:2] == (0, 20) and ANGLES[-1] == 340
    assert STEPS == (0, 4, 8, 12)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda *given: run_rotation(*given, angles=(20, 0)), "the first angle or step must be 0"),
        (lambda *given: run_shift(*given, steps=()), "steps is empty"),
        (lambda *given: run_shift(*given, taps=["logits"]), "logits has no patches"),
        (lambda *given: run_rotation(*given, taps=["blocks.9.mlp.hidden"]), "unknown tap 'blocks.9.mlp.hidden'"),
    ],
)
def test_mistakes_are_named(call, words):
    with pytest.raises(InputError, match=words):
        call(small.model(), noise.dataset(2, batch=2))
