"""Likeness of units against plain definitions: nearest units, near-repeats, and the map, whatever the vectors are."""

import numpy as np
import pytest

from vitjax.analysis.photographs import likeness
from vitjax.analysis.photographs.likeness import Neighbour, nearest, repeats, spread_out


def clusters(count: int = 120, groups: int = 4, noise: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    """Vectors around a few centres far apart, and of which centre each is."""
    rng = np.random.default_rng(0)
    group = np.arange(count) % groups
    return rng.standard_normal((groups, 16))[group] + noise * rng.standard_normal((count, 16)), group


def cosines(vectors: np.ndarray) -> np.ndarray:
    """All cosines, in double precision."""
    directions = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return directions @ directions.T


@pytest.fixture(params=[2**25, 400], ids=["one block", "many blocks"])
def blocks(request, monkeypatch):
    """Blocks of all units, and of so few that the last overlaps the one before."""
    monkeypatch.setattr(likeness, "_CELLS", request.param)


def test_nearest_are_the_nearest(blocks):
    vectors = np.random.default_rng(1).standard_normal((97, 12))
    layers = np.array([5, 2, 9])[np.arange(97) % 3]
    found = nearest(vectors, layers, k=4)
    meant = cosines(vectors)
    np.fill_diagonal(meant, -np.inf)
    for number in range(97):
        for half, others in ((slice(0, 4), layers == layers[number]), (slice(4, 8), layers != layers[number])):
            order = np.argsort(np.where(others, -meant[number], np.inf))[:4]
            assert found.unit[number, half].tolist() == order.tolist()
            assert np.abs(found.likeness[number, half] - meant[number, order]).max() < 1e-6
    near = found.of(3)
    assert [one.likeness for one in near] == sorted((one.likeness for one in near), reverse=True)
    assert all(one.same_layer == (layers[one.unit] == layers[3]) for one in near) and len({o.unit for o in near}) == 8


def test_fewer_units_than_asked_for():
    found = nearest(np.eye(3) + 1, [0, 0, 1], k=5)
    assert found.of(0) == [
        Neighbour(1, pytest.approx(5 / 6), True),
        Neighbour(2, pytest.approx(5 / 6), False),
    ]
    assert [near.unit for near in found.of(2)] == [0, 1]
    assert nearest(np.ones((1, 4)), [0]).of(0) == []
    assert nearest(np.ones((0, 4)), []).unit.shape == (0, 0)


def test_length_and_scale_do_not_matter():
    vectors, layers = clusters()
    scale = np.geomspace(1e-30, 1e30, len(vectors))[:, None]
    assert np.array_equal(nearest(vectors, layers).unit, nearest(vectors * scale, layers).unit)
    assert repeats(vectors) == repeats(vectors * scale)


def test_repeats_by_their_definition(blocks):
    vectors, _ = clusters(noise=0.2)
    threshold = 0.93
    alike = np.tril(cosines(vectors) >= threshold, -1)
    assert repeats(vectors, threshold) == [int(row.argmax()) if row.any() else None for row in alike]
    assert 0 < alike.sum() < len(vectors) * (len(vectors) - 1) / 2 / 4  # some repeat, and not all of a group


def test_repeats_depend_on_the_pairs_alone():
    vectors, _ = clusters(noise=0.2)
    marks = repeats(vectors, 0.93)
    for half in (np.arange(60), np.arange(0, 120, 2)):  # without the other units the same pairs are judged the same
        place = {int(number): i for i, number in enumerate(half)}
        of_half = repeats(vectors[half], 0.93)
        for i, number in enumerate(half):
            if marks[number] in place:
                assert of_half[i] == place[marks[number]]
    left = vectors[[mark is None for mark in marks]]
    assert repeats(left, 0.93) == [None] * len(left)


def test_a_chain_is_marked_link_by_link():
    angles = np.deg2rad([0, 10, 20])
    chain = np.stack([np.cos(angles), np.sin(angles)], 1)
    assert repeats(chain, np.cos(np.deg2rad(12))) == [None, 0, 1]
    assert repeats(chain, np.cos(np.deg2rad(25))) == [None, 0, 0]


ODD = {"zero": 0.0, "nan": np.nan, "infinite": np.inf}


@pytest.mark.parametrize("value", ODD.values(), ids=ODD)
def test_vectors_without_a_direction_are_like_nothing(value):
    vectors, layers = clusters(40)
    odd = [0, 7, 39]
    vectors[odd] = value
    found = nearest(vectors, layers, k=39)
    assert all(found.of(number) == [] for number in odd)
    assert all(len(found.of(number)) == 36 for number in range(40) if number not in odd)
    assert not {near.unit for number in range(40) for near in found.of(number)} & set(odd)
    marks = repeats(vectors, 0.9)
    assert all(marks[number] is None for number in odd) and not set(odd) & set(marks)
    points = spread_out(vectors)
    assert np.isfinite(points).all()
    rest = np.delete(points, odd, axis=0)
    assert (points[odd] > rest.max(0)).all()  # in a corner of their own


def test_the_map_keeps_groups_together_and_is_repeatable():
    vectors, group = clusters()
    points = spread_out(vectors)
    assert np.array_equal(points, spread_out(vectors))
    apart = np.linalg.norm(points[:, None] - points, axis=-1)
    np.fill_diagonal(apart, np.inf)
    assert (group[apart.argmin(1)] == group).all()


@pytest.mark.parametrize("count", range(8))
def test_the_map_of_a_few_units(count):
    points = spread_out(np.random.default_rng(count).standard_normal((count, 6)))
    assert points.shape == (count, 2) and np.isfinite(points).all()
    assert len(np.unique(points, axis=0)) == count


@pytest.mark.parametrize("vectors", [np.ones((20, 5)), np.zeros((20, 5)), np.full((20, 5), np.nan), np.ones((20, 1))])
def test_the_map_of_units_that_are_all_alike(vectors):
    points = spread_out(vectors)
    assert points.shape == (20, 2) and np.isfinite(points).all()
