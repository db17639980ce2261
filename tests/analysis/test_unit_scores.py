"""The analysis `scores`: what it sums up against plain computations on the same values, its controls, its encoders."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose

from tests.analysis.test_scores import pairwise
from tests.support import noise, small
from vitjax.analysis.photographs.exemplars import exemplars
from vitjax.analysis.scores import encoders, mis
from vitjax.analysis.scores.crops import _box, _pixels, crops
from vitjax.analysis.scores.evidence import evidence_of, scores_of, told_by_pictures
from vitjax.analysis.scores.measured import measure, merge
from vitjax.analysis.scores.monosemanticity import monosemanticity
from vitjax.analysis.scores.random_directions import with_random_directions
from vitjax.analysis.scores.unit_scores import run
from vitjax.data.dataset import Dataset, open_dataset
from vitjax.data.pipeline import pixels
from vitjax.errors import InputError
from vitjax.models.core.preprocess import Input, Preprocess
from vitjax.models.dictionaries.dictionary import Dictionary
from vitjax.models.dictionaries.form import Form
from vitjax.units.units import expand

TAP = "blocks.1.mlp.hidden"
JUDGE = noise.model(replace(small.CONFIG, image_size=(16, 16), depth=1, registers=0))


@pytest.fixture(scope="module")
def data() -> Dataset:
    """50 random images of few colours, larger than either model's input."""
    rng = np.random.default_rng(0)
    images = [np.kron(rng.integers(0, 256, (4, 4, 3), np.uint8), np.ones((12, 12, 1), np.uint8)) for _ in range(50)]
    return open_dataset(images, small.CONFIG, batch=16)


@pytest.fixture(scope="module")
def values(data) -> dict[str, np.ndarray]:
    """What the model has at the tap, and the encoder's embedding, of all images."""
    see = lambda config: pixels(data.images, range(50), config).astype(np.float32) / 255
    found = small.read(small.model(), see(small.CONFIG), reads=(TAP,))
    judged = small.read(JUDGE, see(JUDGE.config), reads=("pooled",))
    return {name: np.asarray(value, np.float64) for name, value in (found | judged).items()}


def test_one_pass_measures_what_all_values_say_whatever_the_shards(data, values):
    judge = encoders.encoder_of(small.model(), JUDGE)
    parts = [
        measure(small.model(), replace(data, shard=(i, 2)), [judge], [TAP], "patches", np.arange(0, 50, 7))
        for i in range(2)
    ]
    found = merge(*parts)
    patches = values[TAP][:, 3:]
    assert_allclose(
        monosemanticity(found.sums[judge.name][TAP]), pairwise(patches.mean(1), values["pooled"]), atol=1e-6
    )
    often = found.density[TAP]
    assert_allclose(often.density, (patches > 0).mean((0, 1)), atol=1e-3)  # rounding may turn a sign at 0
    assert_allclose(often.l0, (patches > 0).sum(2).mean(), rtol=1e-3)
    assert_allclose(often.when_active, (patches * (patches > 0)).sum((0, 1)) / (patches > 0).sum((0, 1)), rtol=1e-2)
    toward = values["pooled"] / np.linalg.norm(values["pooled"], axis=1, keepdims=True)
    assert found.places.tolist() == list(range(0, 50, 7))
    assert_allclose(found.embeddings[judge.name], toward[::7], atol=1e-5)


def test_latents_of_a_dictionary_are_counted(data):
    rng = np.random.default_rng(0)
    arrays = {"encoder": rng.standard_normal((96, 12)), "decoder": rng.standard_normal((12, 96))}
    held = Dictionary(
        Form(TAP, activation="topk", k=3, relu=False), {n: a.astype(np.float32) for n, a in arrays.items()}
    )
    judge, tap = encoders.layout_of(small.model()), f"{TAP}.sae"
    found = measure(small.model().with_dictionary(held), data, [judge], [tap], "patches", np.arange(2)).density[tap]
    assert (found.tokens, found.l0, found.l0_std) == (50 * 16, 3, 0) and found.density.sum() == pytest.approx(3)


def test_crops_are_where_the_unit_fired(data):
    found = exemplars(small.model(), data, [TAP], k=3).taps[TAP]
    judge = encoders.layout_of(small.model())
    (cut,) = crops([found], [np.array([4, 9])], judge, data, 0.5)
    assert cut().shape == (2, 3, 193) and cut([1]).shape == (1, 3, 193)
    place, patch = found.place[9, 2], found.patch[9, 2]
    row, column = (int(np.clip(at - 1, 0, 2)) for at in divmod(patch, 4))
    seen = pixels(data.images, [place], small.CONFIG)[0]
    crop = seen[row * 8 : row * 8 + 16, column * 8 : column * 8 + 16]
    plain = np.asarray(encoders.colour_layout(None, crop[None].astype(np.float32) / 255)[0])[0]
    assert np.corrcoef(cut()[1, 2], plain)[0, 1] > 0.95  # by one resizing in place of two
    mixed = cut.shuffled(np.random.default_rng(0))
    assert sorted(mixed.row.ravel()) == sorted(cut.row.ravel())


def test_boxes_stay_in_the_image():
    assert _box(5, 0, (4, 4), 0.5) == (5, 0, 0, 2, 2, 4, 4) and _box(5, 15, (4, 4), 0.5) == (5, 2, 2, 2, 2, 4, 4)
    assert _box(5, -1, (4, 4), 0.5) == _box(5, 3, None, 0.5) == (5, 0, 0, 1, 1, 1, 1)
    whole = Input((32, 32), Preprocess(crop=1.0), (8, 8))
    assert _pixels((64, 32), whole, _box(0, -1, (4, 4), 0.5)) == (16, 0, 48, 32)  # what the model sees of it
    assert _pixels((32, 32), whole, _box(0, 6, (4, 4), 0.25)) == (16, 8, 24, 16)


def test_tasks_tell_a_readout_of_the_encoders_own_feature_from_noise():
    rng = np.random.default_rng(0)
    embeddings = rng.standard_normal((400, 6))
    toward = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    scores = np.stack([toward @ np.eye(6)[0], rng.standard_normal(400)], axis=1)
    asked = mis.tasks(scores, count=200)
    found = mis.differences(toward @ toward.T, asked)
    told, noise = mis.accuracy(found)
    assert told >= 0.95 and abs(noise - 0.5) <= 0.1
    assert (scores[asked.plus[0], 0] >= scores[asked.query_plus[0], 0][:, None]).all()
    assert (scores[asked.minus[0], 0] <= scores[asked.query_minus[0], 0][:, None]).all()
    assert np.quantile(scores[:, 0], 0.8) <= scores[asked.query_plus[0], 0].min()
    query, alike = asked.query_plus[0, 5], lambda some: (toward[asked.query_plus[0, 5]] @ toward[some].T).mean()
    other = lambda some: (toward[asked.query_minus[0, 5]] @ toward[some].T).mean()
    plus, minus = asked.plus[0, 5], asked.minus[0, 5]
    assert query not in plus
    assert_allclose(found[0, 5], alike(plus) - alike(minus) - other(plus) + other(minus), atol=1e-12)
    assert_allclose(mis.temperate(found, 0.5)[0], np.mean(1 / (1 + np.exp(-found[0] / 0.5))))
    shown = toward[:, :2].T  # pictures along the first two axes, and their opposites
    by_pictures = mis.accuracy(mis.differences_by_pictures(shown, -shown, asked))
    assert by_pictures[0] == 1 and abs(by_pictures[1] - 0.5) <= 0.2
    assert mis.enough(50) and not mis.enough(44)


def test_pictures_may_explain_units_in_place_of_photographs(data, values):
    found, judge = exemplars(small.model(), data, [TAP], k=3), encoders.encoder_of(small.model(), JUDGE)
    ((units, known),) = evidence_of(found, judge, data, expand(f"{TAP}:9,3", small.model().taps()))
    scores = scores_of(units, known)
    meant = pairwise(values[TAP][:, 3:, [9, 3]].mean(1), values["pooled"])
    assert_allclose([scores[f"{TAP}:{unit}"]["monosemanticity"] for unit in (9, 3)], meant, atol=1e-6)
    assert scores[f"{TAP}:9"]["redundant_with"] == f"{TAP}:3"
    best, worst = (known.embeddings[where] for where in (known.sample.argmax(0), known.sample.argmin(0)))
    asked = mis.tasks(known.sample)
    alike = (best - worst) @ known.embeddings.T
    plain = [(alike[i, asked.query_plus[i]] > alike[i, asked.query_minus[i]]).mean() for i in range(2)]
    assert_allclose(told_by_pictures(known, 5 * best, worst), plain)
    assert_allclose(told_by_pictures(known.only([1]), best[1:], worst[1:]), plain[1:])


def test_random_directions_are_taps_of_their_own():
    model, taps = with_random_directions(small.model(), {TAP: 5, "blocks.0.attn.z": 4, "blocks.1.resid_post": 99})
    assert taps == {tap: f"{tap}.sae_pre@random" for tap in (TAP, "blocks.1.resid_post")}
    images = np.random.default_rng(0).random((2, 32, 32, 3), np.float32)
    found = small.read(model, images, reads=(TAP, *taps.values()))
    assert found[taps["blocks.1.resid_post"]].shape[-1] == 48
    encoder = np.asarray(model.dictionaries[0].arrays["encoder"][...])
    assert_allclose(encoder.T @ encoder, np.eye(5), atol=1e-5)
    assert_allclose(found[taps[TAP]], np.asarray(found[TAP]) @ encoder, atol=1e-4)
    assert_allclose(found[TAP], small.read(small.model(), images, reads=(TAP,))[TAP], atol=1e-6)


def test_units_and_controls_are_scored(data, values):
    found = run(small.model(), data, encoder=JUDGE, taps=[TAP], count=7, k=3, control=True)
    kinds = {row["kind"]: row["encoder"] for row in found.rows}
    assert kinds == {
        "units": "ViT",
        "random directions": "ViT",
        "shuffled images": "ViT",
        "colour layout": "colour layout",
    }
    units = found.tables["unit-scores"].to_pylist()
    assert len(units) == 7 and {row["redundant_with"] for row in units} <= {row["unit"] for row in units}
    index = [int(row["unit"].rpartition(":")[2]) for row in units]
    meant = pairwise(values[TAP][:, 3:].mean(1), values["pooled"])[index]
    assert_allclose([row["monosemanticity"] for row in units], meant, atol=1e-6)
    assert_allclose(found.rows[0]["monosemanticity"], meant.mean(), atol=1e-6)
    shuffled = found.rows[2]
    assert abs(shuffled["above_chance"]) < 0.02 and 0.2 < shuffled["task_accuracy"] < 0.8
    assert found.settings["tasks"]["is"].startswith("not MIS") and found.settings["tasks"]["temperature"] == 0.16
    assert found.settings["encoder"]["tap"] == "pooled" and len(found.summary.splitlines()) == 8
    assert found.csv().count("\n") == 5 and set(found.figures) == {""}


def test_the_model_may_be_its_own_judge_which_is_said(data, caplog):
    judge = encoders.encoder_of(small.model(), tap="blocks.0.resid_post")
    assert judge.same and "favours late ones" in caplog.text
    images = pixels(data.images, range(3), small.CONFIG)
    value = small.read(small.model(), images.astype(np.float32) / 255, reads=("blocks.0.resid_post",))
    assert_allclose(judge(images), np.asarray(value["blocks.0.resid_post"])[:, 3:].mean(1), atol=1e-5)
    with pytest.raises(InputError, match=r"the encoder has no tap 'poled'.*pooled"):
        encoders.encoder_of(small.model(), JUDGE, "poled")


def test_an_even_grey_has_a_direction():
    grey = jax.numpy.full((1, 8, 8, 3), 0.5)
    assert np.linalg.norm(encoders.colour_layout(None, grey)[0]) > 0


def test_one_image_or_a_damaged_one_is_said(tmp_path):
    with pytest.raises(InputError, match="how alike the images are"):
        run(small.model(), open_dataset([np.zeros((9, 9, 3), np.uint8)], small.CONFIG))
    (tmp_path / "x.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"x.png: not an image"):
        pixels(open_dataset(tmp_path, small.CONFIG).images, [0], small.CONFIG)
