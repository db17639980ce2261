"""Objects alone and all but objects: masks that split the image, accuracies against passes made by hand."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tests.support import small
from tests.support.pictures import encode, photo, unpack
from vitjax.analysis.ablations.accuracy import Outcome
from vitjax.analysis.ablations.masking import Keep, changes, compare, run
from vitjax.analysis.ablations.relative import relative
from vitjax.analysis.study.findings import Findings
from vitjax.data.annotations.boxes import Boxes, mask
from vitjax.data.dataset import Dataset, open_dataset
from vitjax.data.prepare import prepare
from vitjax.errors import InputError

NAMES = tuple("{0:04d}_n{0:08d}_{1:02d}.png".format(3 * i % 10, i) for i in range(12))  # a class, then a number
FOUND = {"a": Boxes(np.array([[1, 2, 5, 4], [4, 3, 7, 6]]))}


def test_the_masks_split_the_image():
    image = np.random.default_rng(0).integers(1, 256, (8, 10, 3), np.uint8)
    parts = {name: change("a", image) for name, change in changes(FOUND).items() if change is not None}
    assert list(parts) == ["foreground", "background"]
    assert all(part.dtype == np.uint8 for part in parts.values())
    inside = mask(FOUND["a"], 8, 10)
    assert np.array_equal(parts["foreground"][inside], image[inside]) and not parts["foreground"][~inside].any()
    assert np.array_equal(parts["foreground"] + parts["background"], image)


def test_changes_travel_to_other_processes():
    image = np.full((8, 10, 3), 9, np.uint8)
    change = Keep(FOUND, inside=True)
    assert np.array_equal(pickle.loads(pickle.dumps(change))("a", image), change("a", image))


def test_an_image_that_its_boxes_do_not_fit_is_named():
    with pytest.raises(InputError, match=r"^a: the box 1 2 5 4 holds no pixel of the image, 10x2"):
        Keep(FOUND, inside=False)("a", np.zeros((2, 10, 3), np.uint8))


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Dataset:
    """Twelve pictures of 36 by 40 pixels, the first ten with a box, of which one is unreadable."""
    folder = tmp_path_factory.mktemp("pictures")
    files = {name: encode(photo(36, 40, seed)) for seed, name in enumerate(NAMES)}
    lines = [f"{name}\t{i}\t4\t{i + 20}\t28\n" for i, name in enumerate(NAMES[:10])]
    unpack(folder, files | {"a_boxes.txt": "".join(lines).encode(), NAMES[4]: b"not an image"})
    return open_dataset(folder, small.CONFIG, batch=4)


@pytest.fixture(scope="module")
def found(data) -> Findings:
    return run(small.model(), data)


def test_images_without_boxes_are_left_out_and_named(found):
    conditions = [(row["condition"], row["images"]) for row in found.rows]
    assert conditions == [("full", 9), ("foreground", 9), ("background", 9)]
    assert (found.settings["without_boxes"], found.settings["without_boxes_named"]) == (2, list(NAMES[10:]))
    assert list(found.settings["unreadable"]) == [NAMES[4]]
    assert set(found.figures) == {"", "examples"}


def test_rows_are_the_model_on_masked_images(found):
    seen = [i for i in range(10) if i != 4]
    truth = np.array([int(NAMES[i][:4]) for i in seen])
    tops = []
    for row, inside in zip(found.rows, (None, True, False), strict=True):
        images = []
        for i in seen:
            kept = np.full((40, 36, 1), inside is not True)
            kept[4:29, i : i + 21] = inside is not False
            images.append(prepare(Image.fromarray(np.asarray(photo(36, 40, i)) * kept), small.CONFIG))
        logits = np.asarray(small.read(small.model(), np.stack(images) / np.float32(255), reads="logits")["logits"])
        true = logits[np.arange(9), truth]
        assert row["loss"] == pytest.approx((np.log(np.exp(logits).sum(axis=1)) - true).mean(), rel=1e-5)
        tops.append(((logits > true[:, None]).sum(axis=1) < 5).mean())
        assert row["top5"] == pytest.approx(tops[-1])
        assert row["normalised_top5"] == pytest.approx(tops[-1] / tops[0])
    assert tops[0] > 0


def test_the_share_and_its_error():
    rng = np.random.default_rng(1)
    known = rng.random(4000) < 0.6
    right = known & (rng.random(4000) < 0.8)
    outcome = lambda hits: Outcome(np.where(hits, 0, 9), np.zeros(len(hits)))
    share, error = relative(outcome(right), outcome(known), 1)
    assert share == pytest.approx(right.sum() / known.sum())
    draws = rng.integers(0, 4000, (1000, 4000))
    assert error == pytest.approx((right[draws].sum(axis=1) / known[draws].sum(axis=1)).std(), rel=0.1)
    assert relative(outcome(known), outcome(known), 1) == (1.0, 0.0)
    assert np.isnan(relative(outcome(right), outcome(known & False), 1)).all()


def test_shares_along_further_axes():
    rank = np.array([[0, 3], [1, 0], [0, 0]])
    share, _ = relative(Outcome(rank, rank), Outcome(rank[:, 1], rank[:, 1]), 1)
    assert share.tolist() == [1.0, 1.0]


def test_models_are_drawn_side_by_side(found):
    none = replace(found, rows=[{**row, "normalised_top5": None, "normalised_top5_error": None} for row in found.rows])
    figure = compare({"one": found, "other": none})
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["one", "other"]
    bars = [[bar.get_height() for bar in group] for group in figure.axes[0].containers if hasattr(group, "patches")]
    assert bars[0] == [row["normalised_top5"] for row in found.rows[1:]] and np.isnan(bars[1]).all()
