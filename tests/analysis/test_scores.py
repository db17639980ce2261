"""Scores of units against plain definitions: by hand, by double loops, and on units whose score is known."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from vitjax.analysis.scores import density
from vitjax.analysis.scores import monosemanticity as ms
from vitjax.analysis.scores.semantic_lens import clarity, polysemanticity, redundancy
from vitjax.errors import InputError

RNG = np.random.default_rng(0)


def pairwise(scores: np.ndarray, embeddings: np.ndarray) -> list[float]:
    """MS by its definition, pair by pair."""
    toward = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    scaled = (scores - scores.min(0)) / np.ptp(scores, axis=0)
    pairs = [(i, j) for i in range(len(scores)) for j in range(i)]
    weight = np.array([scaled[i] * scaled[j] for i, j in pairs])
    return (weight * np.array([toward[i] @ toward[j] for i, j in pairs])[:, None]).sum(0) / weight.sum(0)


def test_monosemanticity_is_that_of_all_pairs():
    scores, embeddings = RNG.normal(3, 2, (40, 7)), RNG.normal(0.3, 1, (40, 5))
    seen = ms.sums(scores, embeddings)
    assert_allclose(ms.monosemanticity(seen), pairwise(scores, embeddings), atol=1e-12)
    parts = [ms.sums(scores[i::3], embeddings[i::3]) for i in range(3)]
    streamed = ms.merge(ms.merge(ms.merge(None, parts[2]), parts[0]), parts[1])
    assert_allclose(ms.monosemanticity(streamed), ms.monosemanticity(seen), atol=1e-12)


def test_monosemanticity_of_units_that_are_known():
    kind = np.arange(30) % 3
    centroids = np.eye(3)[kind]
    alone = np.zeros(30)
    alone[4] = 1
    scores = np.stack([kind == 0, np.ones(30), kind < 2, alone], axis=1).astype(float)
    found = ms.monosemanticity(ms.sums(scores, centroids))
    assert_allclose(found[[0, 2]], [1, 9 / 19])  # of two classes in one: the share of pairs within a class
    assert np.isnan(found[[1, 3]]).all()


def test_any_images_in_random_order_have_the_mean_cosine():
    scores, embeddings = RNG.random((6, 4)), RNG.normal(1, 1, (6, 3))
    even = ms.sums(1 - 1e-9 * np.eye(6)[:, :1], embeddings)  # a ≡ 1, but for one image, for there is a range to be
    even = even._replace(low=np.zeros(1), high=np.ones(1))
    chance = ms.mean_cosine(ms.sums(scores, embeddings))
    assert_allclose(ms.monosemanticity(even), chance, atol=1e-6)
    orders = [ms.monosemanticity(ms.sums(scores, embeddings[RNG.permutation(6)])) for _ in range(600)]
    assert_allclose(np.mean(orders, axis=0), chance, atol=0.03)
    assert_allclose(ms.above_chance(np.array([chance, 1.0]), chance), [0, 1])


def test_embeddings_without_a_direction_are_refused():
    for wrong in (0.0, np.nan, np.inf):
        with pytest.raises(InputError, match="0 or not finite"):
            ms.sums(np.ones((2, 1)), np.array([[1.0, 0], [wrong, 0]]))


def test_clarity_of_known_crops():
    equal, apart = np.ones((3, 4)) * [[2], [5], [7]], np.eye(4)[:3] * 3
    assert_allclose(clarity(np.stack([equal, apart])), [1, 0], atol=1e-12)
    assert_allclose(clarity(np.array([[[1.0, 0], [-2, 0]]])), [-1])
    some = RNG.normal(size=(2, 5, 3))
    toward = some / np.linalg.norm(some, axis=2, keepdims=True)
    cosines = np.einsum("uid,ujd->uij", toward, toward)
    assert_allclose(clarity(some), (cosines.sum((1, 2)) - 5) / 20, atol=1e-12)
    assert np.isnan(clarity(some[:, :1])).all()


def test_redundancy_names_the_unit_most_alike():
    concepts = np.array([[1.0, 0, 0], [0, 1, 0], [3, 0, 0], [0, 1, 1]])
    likeness, unit = redundancy(concepts)
    assert_allclose(likeness, [1, 2**-0.5, 1, 2**-0.5], atol=1e-6)
    assert unit.tolist() == [2, 3, 0, 1]
    likeness, unit = redundancy(concepts[:1])
    assert np.isnan(likeness).all() and unit.tolist() == [-1]


def test_polysemanticity_of_one_thing_two_things_and_an_outlier():
    two = np.concatenate([RNG.normal([9, 0, 0], 0.01, (4, 3)), RNG.normal([0, 9, 0], 0.01, (5, 3))])
    opposite = np.concatenate([two[:4], -two[:4], -two[:1]])
    same, outlier = np.ones((9, 3)), np.eye(3)[[0] * 8 + [1]]
    found = polysemanticity(np.stack([two, opposite, same, outlier]))
    concept = np.array([8.0, 1]) / np.hypot(8, 1)
    assert_allclose(found, [1, 2, 0, 1 - (8 * concept[0] + concept[1]) / 9], atol=0.01)
    assert np.isnan(polysemanticity(same[None, :1])).all()


def test_density_counts_tokens_and_units():
    values = np.array([[[1.0, 0, -1], [3, 0, 0]], [[0, 0, 2], [4, 0, 0]]])  # [image, token, unit]
    neurons, latents = (density.of(density.per_image(values, latent), 2) for latent in (False, True))
    assert neurons.density.tolist() == [0.75, 0, 0.25] and latents.density.tolist() == [0.75, 0, 0.5]
    assert (neurons.l0, latents.l0) == (1, 5 / 4) and neurons.l0_std == 0
    assert_allclose(latents.l0_std, np.std([2, 1, 1, 1]))
    assert neurons.dead.tolist() == [False, True, False] and neurons.dense.tolist() == [True, False, True]
    assert_allclose(latents.when_active, [8 / 3, np.nan, 0.5])
    halves = [density.of(density.per_image(values[i : i + 1], True), 2) for i in range(2)]
    merged = density.merge(density.merge(None, halves[0]), halves[1])
    assert all(np.array_equal(a, b) for a, b in zip(merged, latents, strict=True))


def test_latents_are_known_by_the_name_of_their_tap():
    names = ("blocks.3.resid_post.sae", "blocks.3.resid_post.sae@mine", "blocks.3.resid_post.sae_pre", "logits")
    assert [density.latent(tap) for tap in names] == [True, True, False, False]
