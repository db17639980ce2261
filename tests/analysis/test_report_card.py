"""The report card of small pictures: verdicts, grades against measurements made by hand, folders that are refused."""

import json
from dataclasses import fields, replace
from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from tests.analysis.test_scores import pairwise
from tests.support import noise, small
from vitjax.analysis.ablations.frequency import radial_spectrum
from vitjax.analysis.photographs.exemplars import Exemplars, exemplars
from vitjax.analysis.report.grades import NONE
from vitjax.analysis.report.grading import Finished
from vitjax.analysis.report.report_card import report_cards, run
from vitjax.analysis.report.scored_units import negatives
from vitjax.analysis.report.verdicts import RULE, WORDS, Rule, verdict
from vitjax.analysis.report.yardstick import Yardstick, yardstick
from vitjax.errors import InputError
from vitjax.models.core.preprocess import Input
from vitjax.optimize.recipes import RECIPES
from vitjax.optimize.results.pictures import Pictures, append
from vitjax.units.units import expand

CONFIG = replace(small.CONFIG, depth=1, width=24, mlp_width=64)
MODEL = noise.model(CONFIG)
DATA = noise.dataset(7, 4, CONFIG)
TAPS = ["blocks.0.mlp.hidden", "blocks.0.attn.z"]
UNITS = expand(["blocks.0.attn.z:2.3", "blocks.0.mlp.hidden:7,50", "blocks.0.attn.z:0.0"], MODEL.taps())
IMAGES = np.random.default_rng(3).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)

GOOD = {"rise": 5.0, "rank": 1, "units": 768, "detail": 1.0, "colour": 0.2, "contrast": 0.2, "copied": 0.5}
GOOD |= {"coarse": 0.0, "noise": 1.5, "coarse_noise": 1.0, "levels": 150.0, "agreement": 20, "photo_agreement": 20}


@cache
def found() -> Exemplars:
    """The exemplars of the taps."""
    return exemplars(MODEL, DATA, TAPS, k=3)


@cache
def measure() -> Yardstick:
    """What the photographs say of the taps."""
    return yardstick(MODEL, DATA, found())


@cache
def judged() -> dict[str, list[dict]]:
    """The cards of several kinds of pictures for the same units, graded together."""
    best = np.array([measure().best(unit) for unit in UNITS])
    photos = photographs()[0][best]
    kinds = {
        "pictures": (IMAGES, np.full(4, NONE)),
        "photographs": (photos, best),
        "photographs, as if they were not": (photos, np.full(4, NONE)),
        "even": (np.full_like(IMAGES, 128), np.full(4, NONE)),
    }
    images, own = (np.concatenate(parts) for parts in zip(*kinds.values(), strict=True))
    rows = report_cards(MODEL, Finished(images, UNITS * 4, own=own), measure())
    return {kind: rows[4 * i : 4 * i + 4] for i, kind in enumerate(kinds)}


@cache
def photographs() -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The photographs as bytes, and {tap: [image, unit]}, the scores found by hand."""
    images = noise.pixels(DATA)
    scores = {tap: np.asarray(value).mean(axis=1).reshape(7, -1) for tap, value in patches(images).items()}
    return np.round(images * 255).astype(np.uint8), scores


def patches(images: np.ndarray) -> dict[str, np.ndarray]:
    """The taps' values at the patches."""
    values = jax.jit(lambda model, images: model(images, TAPS))(MODEL, jnp.asarray(images, jnp.float32))
    return {tap: np.asarray(value)[:, CONFIG.prefix :] for tap, value in values.items()}


def folder(path: Path, seed: int = 0, images: np.ndarray = IMAGES, recipe: str = "default") -> Path:
    """A folder of pictures as `vitjax visualize` leaves it."""
    history = {name: np.tile(np.arange(40.0), (len(images), 1)) for name in ("loss", "activation", "total_variation")}
    append(path, Pictures(images, UNITS, np.zeros(len(images)), history, RECIPES[recipe], seed, {}, 1))
    return path


@pytest.mark.parametrize(
    ("grades", "word"),
    [
        ({}, "good"),
        ({"rise": 0.9}, "weak"),
        ({"rise": -2.0}, "weak"),
        ({"rank": 39}, "good"),
        ({"rank": 40}, "weak"),
        ({"colour": 0.6}, "saturated"),
        ({"colour": 0.6, "rise": 0.1}, "saturated"),
        ({"detail": 3.0}, "noise"),
        ({"detail": 3.0, "rise": 0.0, "colour": 0.6}, "noise"),
        ({"detail": -6.0}, "dead"),
        ({"detail": -6.0, "rise": 0.1, "colour": 0.6}, "dead"),
        ({"contrast": 0.02}, "faint"),
        ({"copied": 0.99, "noise": 3.0}, "copy"),
        ({"noise": 3.0, "detail": -1.0}, "noise"),
        ({"noise": 6.0, "coarse_noise": 2.5, "detail": 5.0, "levels": 2.0}, "good"),
        ({"noise": 6.0, "coarse_noise": 3.5, "detail": 5.0, "levels": 2.0}, "noise"),
        ({"coarse": -6.0}, "noise"),
        ({"coarse": -6.0, "detail": -9.0, "contrast": 0.02}, "noise"),
        ({"coarse": -6.0, "noise": 0.0}, "good"),
        ({"agreement": 385}, "good"),
        ({"agreement": 386}, "strange"),
        ({"agreement": 700, "photo_agreement": 40}, "good"),
    ],
)
def test_verdicts(grades, word):
    assert verdict(GOOD | grades) == word and word in WORDS


THRESHOLDS = {
    "dead": [{"empty": 1.5}],
    "faint": [{"contrast": 0.3}],
    "copy": [{"copied": 0.4}],
    "noise": [{"noise": 1.2}, {"fine": 0.5}, {"few": 200.0, "dither": 0.5}, {"bare": 1.0}],
    "saturated": [{"colour": 0.1}],
    "weak": [{"best": 6.0}, {"common": -0.1}],
    "strange": [{"strange": 0.01}],
}


def test_every_threshold_counts():
    changed = [threshold for several in THRESHOLDS.values() for threshold in several]
    names = {name for threshold in changed for name in threshold} | {"alike", "band"}
    assert names == {field.name for field in fields(Rule)}
    for word, several in THRESHOLDS.items():
        assert [verdict(GOOD, Rule(**threshold)) for threshold in several] == [word] * len(several)
    assert verdict(GOOD, Rule(strange=0.01, alike=0.01)) == verdict(GOOD, Rule(bare=1.0, band=2.0)) == "good"


def test_grades_are_what_is_measured_by_hand():
    _, scores = photographs()
    values = {tap: value.mean(axis=1).reshape(4, -1) for tap, value in patches(IMAGES / 255).items()}
    for i, (unit, row) in enumerate(zip(UNITS, judged()["pictures"], strict=True)):
        natural, now = scores[unit.tap], values[unit.tap][i]
        flat = unit.index[0] if unit.tap == TAPS[0] else unit.index[0] * 8 + unit.index[1]
        z = (now - natural.mean(axis=0)) / natural.std(axis=0)
        assert (row["unit"], row["units"], row["slope"]) == (str(unit), len(now), None)
        assert_allclose(row["activation"], now[flat], atol=1e-5)
        assert_allclose(row["best"], natural[:, flat].max(), rtol=1e-4)
        mean = natural[:, flat].mean()
        assert_allclose(row["rise"], (row["held_out"] - mean) / (natural[:, flat].max() - mean), atol=1e-3)
        assert row["rank"] == 1 + (z > z[flat]).sum()
        assert_allclose(row["margin"], z[flat] - np.delete(z, flat).max(), atol=1e-2)
        assert_allclose(row["percentile"], (natural[:, flat] < row["held_out"]).mean())


def test_spectrum_is_held_against_the_mean_logarithm():
    images, _ = photographs()
    log = np.log(np.asarray(radial_spectrum(jnp.asarray(images / 255.0, jnp.float32))) + 1e-12)
    assert_allclose(measure().spectrum, log.mean(axis=0), rtol=1e-4)
    assert all(row["detail"] < RULE.empty and row["colour"] == 0 for row in judged()["even"])


def test_a_photograph_is_judged_against_the_others():
    _, scores = photographs()
    own, strange = judged()["photographs"], judged()["photographs, as if they were not"]
    first, second = np.sort(scores[TAPS[0]][:, 7])[[-1, -2]]
    assert measure().best(UNITS[1]) == scores[TAPS[0]][:, 7].argmax()
    assert_allclose([own[1]["activation"], strange[1]["best"], own[1]["best"]], [first, first, second], rtol=1e-4)
    assert all(alone["agreement"] >= among["agreement"] for alone, among in zip(own, strange, strict=True))
    assert sum(row["agreement"] for row in own) > sum(row["agreement"] for row in strange)


def test_yardstick_knows_where_its_photographs_are():
    rows = measure().row(np.array([[measure().places[1], NONE], [10**6, measure().places[0]]]))
    assert rows.tolist() == [[1, NONE], [NONE, 0]]


def test_another_model_may_embed_the_pictures():
    other = noise.model(replace(CONFIG, image_size=(16, 16), width=36))
    measured = yardstick(MODEL, DATA, found(), embedding=other)
    assert measured.tap == "blocks.0.resid_post" and measured.photos.shape == (len(measured.places), 36)
    even = np.full_like(IMAGES, 100)
    values = jax.jit(lambda model, images: model(images, measured.tap))(other, jnp.full((1, 16, 16, 3), 100 / 255))
    expected = values[measured.tap][0, CONFIG.prefix :].mean(axis=0)
    assert_allclose(measured.embed(even), np.tile(expected, (4, 1)), atol=1e-5)


def test_units_are_scored_by_another_models_eyes(tmp_path):
    other = noise.model(replace(CONFIG, image_size=(16, 16)))
    pictures, history = folder(tmp_path / "pictures"), np.tile(np.arange(9.0), (1, 1))
    history = {name: history for name in ("loss", "activation", "total_variation")}
    append(pictures, Pictures(IMAGES[2:3], [-UNITS[0]], np.zeros(1), history, RECIPES["default"], 0, {}, 1))
    findings = run(MODEL, DATA, pictures=pictures, embedding=other, k=3, found=found())
    assert np.array_equal(negatives(pictures, MODEL)[f"-{UNITS[0]}"], IMAGES[2])
    embed = jax.jit(lambda model, images: model(images, "pooled")["pooled"])
    embeddings = np.asarray(embed(other, noise.pixels(replace(DATA, config=Input.of(other)))))
    natural = found().taps[UNITS[0].tap].sample[:, 2 * 8 + 3]
    assert_allclose(findings.rows[0]["monosemanticity"], pairwise(natural[:, None], embeddings)[0], atol=1e-6)
    for row in findings.rows:
        assert row["above_chance"] < row["monosemanticity"] and -0.5 <= row["clarity"] <= 1
        assert row["task_accuracy"] is row["picture_accuracy"] is None  # for which there must be 50 photographs


def test_cards_do_not_depend_on_batch_and_order():
    entries, order = Finished(IMAGES, UNITS), [2, 0, 3, 1]
    parts = report_cards(MODEL, entries.take(order), measure(), batch=3)
    for card, same in zip(parts, (judged()["pictures"][i] for i in order), strict=True):
        assert card.keys() == same.keys()
        for name, value in card.items():
            assert value == same[name] or np.isclose(value, same[name], atol=1e-3), name


def test_run_grades_a_folder(tmp_path):
    pictures, again = folder(tmp_path / "pictures"), folder(tmp_path / "again", seed=1)
    findings = run(MODEL, DATA, pictures=pictures, other_seed=again, k=3, found=found())
    for row, same in zip(findings.rows, judged()["pictures"], strict=True):
        assert (row["unit"], row["verdict"], row["rank"]) == (same["unit"], same["verdict"], same["rank"])
        assert_allclose(row["held_out"], same["held_out"], atol=1e-4)
        assert_allclose(row["seed_likeness"], 1, atol=1e-5)
        assert (row["seed_rank"], row["seed_units"]) == (1, 4)
        assert_allclose(row["slope"], 4 / 19)  # of the 20 points that the record keeps, the last 5
    assert findings.settings["rule"]["best"] == RULE.best and findings.settings["changes"][-1] == "jpeg 75"
    assert {path.name for path in findings.save(tmp_path / "out")} >= {"report-card.png", "report-card-grades.png"}
    assert "4 pictures" in findings.summary


def _edit(path: Path, change) -> None:
    record = json.loads((path / "pictures.json").read_text())
    change(record)
    (path / "pictures.json").write_text(json.dumps(record))


BROKEN = {
    "another model": (lambda path: _edit(path, lambda r: r.update(model={"sha256": "f" * 64})), "ffffffffffff"),
    "a missing picture": (lambda path: (path / "blocks.0.attn.z_0.0.png").unlink(), "blocks.0.attn.z_0.0.png"),
    "no record": (lambda path: (path / "pictures.json").unlink(), "vitjax visualize"),
    "an unknown unit": (lambda path: _edit(path, lambda r: r["pictures"][0].update(unit="blocks.9.out:1")), "blocks.9"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_folders_that_cannot_be_graded_are_refused(what, tmp_path):
    spoil, named = BROKEN[what]
    spoil(folder(tmp_path))
    with pytest.raises(InputError, match=named) as error:
        run(MODEL, DATA, pictures=tmp_path)
    assert "\n" not in str(error.value)


def test_pictures_of_another_size_are_refused(tmp_path):
    with pytest.raises(InputError, match="16x16, the model takes 32x32"):
        run(MODEL, DATA, pictures=folder(tmp_path, images=IMAGES[:, :16, :16]))


@pytest.mark.parametrize(
    ("settings", "named"), [({"seed": 0}, "same seed"), ({"seed": 1, "recipe": "ghiasi"}, "different recipes")]
)
def test_seeds_are_compared_within_one_recipe(settings, named, tmp_path):
    with pytest.raises(InputError, match=named):
        run(MODEL, DATA, pictures=folder(tmp_path / "a"), other_seed=folder(tmp_path / "b", **settings))
