"""Clusters of tokens: the published measures on data made for them, what falls out on the way, and whole runs."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from PIL import Image

from tests.support import noise, small
from tests.support.pictures import encode, photo, unpack
from vitjax.analysis.ablations.positions import without_positions
from vitjax.analysis.clusters import maps_of_tokens
from vitjax.analysis.clusters.maps_of_tokens import neighbours, tsne
from vitjax.analysis.clusters.measures import clustered, kmeans_purity, measures, probe, radius
from vitjax.analysis.clusters.token_clusters import AREA, large, run
from vitjax.analysis.clusters.token_rows import EMBEDDINGS, differences, image_rows, means
from vitjax.data.annotations.masks import Objects
from vitjax.data.dataset import open_dataset
from vitjax.errors import InputError

RNG = np.random.default_rng(0)
OBJECTS = np.repeat([1, 2], 20)
APART = RNG.normal(0, 0.01, (40, 8)) + np.eye(8)[OBJECTS - 1] * 5
KINDS = ("cat", "dog")


def test_20_objects_that_are_tight_and_far_apart():
    clusters = clustered(APART, OBJECTS)
    found = measures(APART, OBJECTS, KINDS, clusters)
    assert sorted(set(clusters)) == [0, 1]
    assert found["purity"] == found["unique_label_ratio"] == found["clusters_per_object"] == 1
    assert found["silhouette"] == pytest.approx(1, abs=0.01)
    assert found["in_cluster_cosine"] == pytest.approx(1, abs=0.01) == found["in_object_cosine"]
    assert kmeans_purity(APART, OBJECTS, 0) == 1


def test_20_all_noise():
    found = measures(APART, OBJECTS, KINDS, np.full(40, -1))
    assert (found["purity"], found["silhouette"], found["in_cluster_cosine"]) == (0, -1, -1)
    assert (found["unique_label_ratio"], found["clusters_per_object"]) == (0, 0)


def test_20_one_cluster_over_two_equal_objects():
    found = measures(APART, OBJECTS, KINDS, np.zeros(40, int))
    assert (found["purity"], found["silhouette"], found["unique_label_ratio"]) == (0.5, 0, 0.5)
    assert found["clusters_per_object"] == 0.5


def test_tokens_that_are_all_the_same():
    tokens = np.ones((40, 8))
    found = measures(tokens, OBJECTS, KINDS, clustered(tokens, OBJECTS))
    assert found["purity"] == 0.5 and found["in_object_cosine"] == pytest.approx(1)
    assert kmeans_purity(tokens, OBJECTS, 0) == 0.5


def test_every_measure_against_its_definition():
    tokens, objects, clusters = RNG.normal(0, 1, (30, 5)), np.tile([1, 2, 3, 4, 4, 2], 5), np.tile([-1, 0, 1, 2, 3], 6)
    kinds = ("cat", "dog", "cat", "cow")
    found = measures(tokens, objects, kinds, clusters)
    cosines = tokens @ tokens.T / np.outer(*[np.linalg.norm(tokens, axis=1)] * 2)

    def inner(labels, number):
        own = np.flatnonzero(labels == number)
        return np.mean([cosines[a, b] for i, a in enumerate(own) for b in own[i + 1 :]])

    shared = [[np.sum((clusters == c) & (objects == o)) for o in range(1, 5)] for c in range(4)]
    assert found["purity"] == pytest.approx(sum(map(max, shared)) / 30)
    assert found["in_cluster_cosine"] == pytest.approx(np.mean([inner(clusters, c) for c in range(4)]))
    assert found["in_object_cosine"] == pytest.approx(np.mean([inner(objects, o) for o in range(1, 5)]))
    assert found["unique_label_ratio"] == len({kinds[int(np.argmax(row))] for row in shared}) / 3
    steps = [np.linalg.norm(tokens[objects == o][1:] - tokens[objects == o][:-1], axis=1).mean() for o in range(1, 5)]
    assert radius(tokens, objects) == pytest.approx(np.mean(steps))


def test_a_probe_is_judged_on_images_that_it_was_not_trained_on():
    images, classes = np.repeat(np.arange(10), 20), np.tile(["a", "b"], 100)
    tokens = RNG.normal(0, 1, (200, 6)) + np.where(classes == "a", 3, -3)[:, None]
    right = probe(tokens, classes, images)
    assert right.shape == (10,) and right.mean() > 0.95
    own = np.eye(10)[images] * np.where(classes == "a", 1, -1)[:, None]  # each image has a direction of its own
    assert probe(own, classes, images).mean() < 0.8
    assert probe(tokens, np.repeat("a", 200), images) is None
    assert probe(tokens, classes, images * 0) is None


@pytest.mark.parametrize(("pixels", "kept"), [(983, ("dog",)), (984, ("cat", "dog"))])
def test_20_small_objects_do_not_count(pixels, kept):
    labels = np.zeros((224, 224), np.int32)
    labels.flat[:pixels], labels[100:] = 1, 2
    assert 983 < AREA * labels.size < 984
    found = large(Objects(labels, KINDS))
    assert found.kinds == kept
    assert [(found.labels == i + 1).sum() for i in range(len(kept))] == [pixels, 124 * 224][-len(kept) :]
    whole = large(Objects(labels, KINDS), background=True)
    assert whole.kinds == (*kept, "background") and (whole.labels == len(kept) + 1).sum() == 100 * 224 - pixels


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Six pictures of which four have two large objects, one has one and one is damaged; and class maps beside them."""
    files = {}
    for number in range(6):
        ids = np.zeros((36, 40), np.uint8)
        ids[2:30, 3:18], ids[5:33, 20 + number % 3 : 38] = 5, 9 if number != 4 else 0
        files[f"{number}.png"] = encode(photo(40, 36, number)) if number != 5 else b"not an image"
        files[f"{number}_mask.png"] = encode(Image.fromarray(ids))
    folder = unpack(tmp_path_factory.mktemp("masked"), files)
    return open_dataset(folder, small.CONFIG, batch=3), folder


MODEL = noise.model(replace(small.CONFIG, depth=2))


def test_a_run(data):
    data, folder = data
    findings = run(MODEL, data, masks=folder, grids=[1, 2], control=True)
    assert [(row["weights"], row["grid"], row["embeddings"], row["layer"]) for row in findings.rows] == [
        *product(("given", "random"), (1, 2), ("published", "unit", "no-outliers"), (1, 2))
    ]
    assert {row["images"] for row in findings.rows if row["grid"] == 1} == {4}
    assert findings.settings["with_mask"] == 5 and findings.settings["with_objects"] == 4
    assert list(findings.settings["unreadable"]) == ["5.png"] and set(findings.figures) == {"", "grids", "tsne"}
    for row in findings.rows:
        assert 0 <= row["purity"] <= 1 and -1 <= row["silhouette"] <= 1 and 0 < row["majority"] < 1
        assert row["kmeans_purity"] >= 0.5 and 0 <= row["probe"] <= 1 and row["purity_error"] >= 0
    taps = ["blocks.*.resid_post", "blocks.1.mlp.hidden"]  # of two widths
    again = run(MODEL, replace(data, batch=4), masks=folder, taps=taps, layout="none", embeddings=["published"])
    for one, other in zip(findings.rows[:2], again.rows[:2], strict=True):
        assert one["in_object_cosine"] == pytest.approx(other["in_object_cosine"], rel=1e-4)
    assert again.rows[2]["tap"] == taps[1]


def _images(outlier: float, seed: int) -> tuple:
    """An image of two tight, distant objects of nine patches each, one patch of them `outlier` times as long."""
    rng = np.random.default_rng(seed)
    labels = np.repeat([1, 2, 0], [9, 9, 6])
    tokens = np.eye(3)[labels] + rng.normal(0, 0.02, (24, 3))
    tokens[4] *= outlier
    return seed, KINDS, [tokens.astype(np.float32)], labels


def test_a_token_of_huge_norm_hides_clusters_that_unit_length_or_leaving_it_out_shows():
    rows = image_rows([_images(30, 0), _images(40, 1), _images(1, 2)], ["tap"], [*EMBEDDINGS], 0)
    by = {(row["embeddings"], row["image"]): row for row in rows}
    assert [by["published", i]["outliers"] for i in range(3)] == [1, 1, 0]
    for i in range(2):
        assert by["published", i]["clusters_per_object"] == 0.5 and by["published", i]["purity"] == pytest.approx(
            0.5, abs=0.06
        )
        for form in ("unit", "no-outliers"):
            assert by[form, i]["purity"] > 0.8 and by[form, i]["kmeans_purity"] == 1
    assert (
        by["published", 2]["purity"] == by["no-outliers", 2]["purity"] == 1 == by["published", 2]["clusters_per_object"]
    )
    table = means([{"weights": "given", "grid": 1} | row for row in rows])
    assert [row["embeddings"] for row in table] == [*EMBEDDINGS] and {row["images"] for row in table} == {3}
    purities = [by["published", i]["purity"] for i in range(3)]
    assert table[0]["purity_error"] == pytest.approx(np.std(purities) / np.sqrt(3))
    (unit, ordinary) = differences([{"weights": "given", "grid": 1} | row for row in rows])
    assert unit["against"] == ordinary["against"] == "embeddings published" and unit["images"] == 3
    changes = [by["unit", i]["purity"] - purities[i] for i in range(3)]
    assert unit["purity"] == pytest.approx(np.mean(changes))
    assert unit["purity_error"] == pytest.approx(np.std(changes) / np.sqrt(3))


def test_an_image_that_loses_an_object_with_its_outliers_is_left_out_there_alone():
    place, kinds, (tokens,), labels = _images(1, 3)
    tokens[:7] *= 30  # seven of an object's nine patches
    rows = image_rows([(place, kinds, [tokens], labels), _images(1, 4)], ["tap"], [*EMBEDDINGS], 0)
    assert [(row["embeddings"], row["image"]) for row in rows] == [
        ("published", 3), ("published", 4), ("unit", 3), ("unit", 4), ("no-outliers", 4)
    ]  # fmt: skip
    assert [row["images"] for row in means([{"weights": "given", "grid": 1} | row for row in rows])] == [2, 2, 1]


def test_patches_of_colour_alone_cluster_by_object(tmp_path):
    """At the embedding, without positions, patches of two colours are two clusters, shuffled or not."""
    ids = np.zeros((32, 32), np.uint8)
    ids[:, :16], ids[:, 16:] = 1, 2
    colours = np.array([[0, 0, 0], [200, 30, 30], [20, 40, 220]], np.uint8)[ids]
    colours = (colours + RNG.integers(0, 3, colours.shape)).astype(np.uint8)
    folder = unpack(tmp_path, {"x.png": encode(Image.fromarray(colours)), "x_mask.png": encode(Image.fromarray(ids))})
    rows = run(without_positions(MODEL), open_dataset(folder, small.CONFIG), masks=folder, taps=["embed"],
               grids=[1, 2], layout="none", embeddings=["published"]).rows  # fmt: skip
    for row in rows:
        assert row["purity"] > 0.7 and row["kmeans_purity"] == 1 and row["probe"] is None


def test_mistakes_get_one_line(data, tmp_path):
    data, folder = data
    unpack(
        tmp_path, {"x.png": encode(photo(40, 36)), "x_mask.png": encode(Image.fromarray(np.zeros((36, 40), np.uint8)))}
    )
    empty = open_dataset(tmp_path, small.CONFIG)
    mistakes = [
        (lambda: run(MODEL, data, masks=folder, grids=[3]), "no 3x3 tiles"),
        (lambda: run(MODEL, data, masks=folder, fit="squish"), "did you mean squash"),
        (lambda: run(MODEL, data, masks=folder, layout="t-sne"), "did you mean tsne"),
        (lambda: run(MODEL, data, masks=folder, embeddings=["units"]), "did you mean unit"),
        (lambda: run(MODEL, data), "nothing says where the objects"),
        (lambda: run(MODEL, empty, masks=tmp_path), "none of 1 images with a mask has 2 objects"),
    ]
    for mistake, said in mistakes:
        with pytest.raises(InputError, match=said) as error:
            mistake()
        assert "\n" not in str(error.value)


def test_umap_is_asked_for_before_the_work(monkeypatch):
    monkeypatch.setattr(maps_of_tokens, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'vitjax\[umap\]'"):
        maps_of_tokens.check("umap")


def test_maps_keep_far_groups_apart():
    place = tsne(APART, seed=1)
    assert place.points.shape == (40, 2) and place.loss > 0
    assert neighbours(place.points, OBJECTS) == 1
    assert np.array_equal(tsne(APART, seed=1).points, place.points)
    assert neighbours(RNG.normal(size=(40, 2)), RNG.permutation(OBJECTS)) < 0.9
