"""What a layer's activations are: drawn, whitened, laid out, gathered in cells, and what these add to classes."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.support import noise, small
from vitjax.analysis.activations import plane
from vitjax.analysis.activations.attributed import Readout, attributed
from vitjax.analysis.activations.gathered import Layer, gathered
from vitjax.analysis.activations.sampled import Sample, merged, patches_of, sampled
from vitjax.analysis.activations.whitened import ridged, whitening
from vitjax.errors import InputError
from vitjax.models.core.network import provenance
from vitjax.models.dictionaries.cells import Angles, Cells
from vitjax.optimize.objectives import objective_of
from vitjax.units.units import CosinePower

TAP = "blocks.1.resid_post"
RNG = np.random.default_rng(0)


def test_whitening_is_the_inverse_of_the_moment():
    values = RNG.standard_normal((500, 40)) * np.geomspace(1e-3, 10, 40) + 3
    moment = values.T @ values / len(values)
    for ridge in (0.01, 1e-6):
        product = whitening(moment, ridge) @ ridged(moment, ridge)
        assert abs(product - np.eye(40)).max() <= 1e-4


@pytest.fixture(scope="module")
def model():
    return noise.model(small.CONFIG)


@pytest.fixture(scope="module")
def whole(model):
    return sampled(model, noise.dataset(12, 4), [TAP], per_image=3)


def test_the_same_patches_are_drawn_however_images_are_split(model, whole):
    parts = [sampled(model, replace(noise.dataset(12, 4), shard=(i, 2)), [TAP], per_image=3) for i in range(2)]
    split = merged(parts)
    np.testing.assert_array_equal(split.place, whole.place)
    np.testing.assert_array_equal(split.token[TAP], whole.token[TAP])
    np.testing.assert_allclose(split.value[TAP], whole.value[TAP], atol=1e-5)
    np.testing.assert_allclose(split.moment[TAP], whole.moment[TAP], rtol=1e-5, atol=1e-3)
    assert split.patches == whole.patches == {TAP: 12 * 16} and whole.complete
    drawn, order = np.asarray(patches_of(0, jnp.arange(200), 16, 16)), RNG.permutation(200)[:50]
    np.testing.assert_array_equal(patches_of(0, jnp.asarray(order), 16, 16), drawn[order])  # as in other batches
    np.testing.assert_array_equal(drawn[:12, :3], whole.token[TAP])
    assert (np.sort(drawn, axis=1) == np.arange(16)).all()  # different ones of each image
    assert len({tuple(row) for row in drawn[:, :3].tolist()}) > 150
    assert (np.asarray(patches_of(1, jnp.arange(200), 16, 16)) != drawn).any()


def test_samples_and_moments_are_the_models(model, whole):
    values = np.asarray(jax.jit(lambda x: model(x, TAP)[TAP])(noise.pixels(noise.dataset(12, 4))), np.float64)[:, 3:]
    np.testing.assert_allclose(whole.value[TAP], values[np.arange(12)[:, None], whole.token[TAP]], atol=1e-4)
    flat = values.reshape(-1, 48)
    np.testing.assert_allclose(whole.moment[TAP], flat.T @ flat, rtol=1e-4, atol=1e-2)


@pytest.fixture(scope="module")
def planted():
    """Five gaussians of 30 samples each around directions of their own, and the sample that holds them."""
    centres = np.linalg.qr(RNG.standard_normal((32, 5)))[0].T * 10
    values = np.repeat(centres, 30, axis=0) + RNG.standard_normal((150, 32)) * 0.5
    values = values.astype(np.float32)
    token = np.zeros((150, 1), np.int32)
    moment = values.T.astype(np.float64) @ values
    return centres, Sample(np.arange(150), {TAP: token}, {TAP: values[:, None]}, {TAP: moment}, {TAP: 150}, 1, True)


@pytest.mark.parametrize("layout", ["tsne", "umap"])
def test_cells_find_planted_gaussians(planted, layout):
    if layout == "umap":
        pytest.importorskip("umap", reason="umap-learn is not installed: pip install 'vitjax[umap]'")
    centres, sample = planted
    layer = gathered(sample, TAP, layout=layout, grid=12, threshold=4, ridge=0.01)
    cosine = lambda a, b: a @ b.T / np.linalg.norm(a, axis=1)[:, None] / np.linalg.norm(b, axis=1)
    alike = cosine(layer.means, centres)
    assert set(alike.argmax(axis=1)) == set(range(5)) and (alike.max(axis=1) > 0.95).all()
    label = np.repeat(np.arange(5), 30)
    for cell, centre in enumerate(alike.argmax(axis=1)):
        assert (label[layer.cell == cell] == centre).all()


@pytest.mark.parametrize("threshold", [0, 5, 20])
def test_counts_add_up_and_small_cells_are_absent(planted, threshold):
    layer = gathered(planted[1], TAP, layout="pca", grid=6, threshold=threshold, ridge=0.01)
    assert layer.counts.sum() == 150 and layer.counts.shape == (6, 6)
    assert (layer.count > threshold).all() and len(layer.row) == (layer.counts > threshold).sum()
    assert np.array_equal(np.bincount(layer.cell[layer.cell >= 0], minlength=len(layer.row)), layer.count)
    first = planted[1].value[TAP][layer.cell == 0, 0]
    np.testing.assert_allclose(layer.means[0], first.mean(axis=0), rtol=1e-5, atol=1e-5)


def test_layouts_fill_the_square():
    points = RNG.standard_normal((500, 2)) * [1, 100]
    points[0] = 1e6
    square = plane.squared(points)
    assert square.min() == 0 and square.max() == 1 and square[0].tolist() == [1, 1]
    assert (plane.squared(np.ones((7, 2))) == 0.5).all()
    assert [plane.side(samples) for samples in (10, 5000, 10**6)] == [10, 14, 20]
    with pytest.raises(InputError, match=r"unknown layout 'tnse' \(did you mean tsne"):
        plane.check("tnse")


def test_a_cell_is_the_goal_of_its_direction(model):
    """As a unit it has the activation that `CosinePower` has of the same direction, by the formula worked by hand."""
    directions = RNG.standard_normal((48, 3)).astype(np.float32)
    held = model.with_dictionary(Cells(Angles(TAP), directions))
    images = RNG.random((2, 32, 32, 3), np.float32)
    values = jax.jit(lambda m, x: m(x, [TAP, f"{TAP}.cells"]))(held, images)
    goal, sites = CosinePower(TAP, "cell 1", directions[:, 1]), model.taps()
    objective = objective_of(goal)
    want = objective.activation(values, objective.numbers([goal], sites)[0], sites=sites, tokens="patches")
    np.testing.assert_allclose(values[f"{TAP}.cells"][:, 3:, 1].mean(axis=1), want, rtol=1e-4)
    hand = Cells(Angles(TAP), np.array([[1.0], [0.0]]))
    np.testing.assert_allclose(hand.measured(jnp.array([[3.0, 4.0], [-3, 4]])), [[1.08], [-0.03]], rtol=1e-6)
    assert provenance(held)["dictionaries"][f"{TAP}.cells"]["power"] == 2.0


def test_cells_that_are_none_are_refused(model):
    with pytest.raises(InputError, match="only zeros, or numbers that are not finite"):
        Cells(Angles(TAP), np.zeros((48, 2)))
    with pytest.raises(InputError, match=r"the cells are of 47 channels, blocks.1.resid_post has 48"):
        model.with_dictionary(Cells(Angles(TAP), np.ones((47, 2))))
    held = model.with_dictionary(Cells(Angles(TAP), np.ones((48, 2))))
    with pytest.raises(InputError, match="is read, never edited"):
        jax.eval_shape(lambda x: held(x, ["logits"], {f"{TAP}.cells": lambda v: v + 1}), jnp.zeros((1, 32, 32, 3)))


def test_what_a_cell_adds_is_the_derivative_along_its_activations(model, whole):
    """Against central differences of the likeness of texts where one patch has a little more or less of itself."""
    cell = np.where(whole.place[:, None] == 0, np.arange(3) == 1, -1)  # image 0: its second draw in cell 1, others in 0
    row = np.array([0, 1])
    means, counts = np.zeros((2, 48)), np.zeros((2, 1), int)
    place, token = np.repeat(whole.place, 3), whole.token[TAP].ravel()
    layer = Layer(place, token, np.zeros((36, 2)), cell.ravel(), counts, row, row * 0, means, means)
    data, texts = noise.dataset(12, 4), np.linalg.qr(RNG.standard_normal((10, 4)))[0].astype(np.float32)
    adds = attributed(model, data, {TAP: layer}, Readout(list("abcd"), texts))[TAP]
    image, patch = noise.pixels(data)[:1], 3 + whole.token[TAP][0, 1]
    run = jax.jit(lambda size: model(image, ["logits"], {TAP: lambda h: h.at[:, patch].multiply(size)})["logits"][0])
    likeness = lambda size: run(size) / np.linalg.norm(run(size)) @ texts
    difference = (likeness(1.02) - likeness(0.98)) / 0.04
    assert adds.shape == (2, 4)
    np.testing.assert_allclose(adds[1], difference, rtol=2e-2, atol=2e-2 * abs(difference).max())
    with pytest.raises(InputError, match="texts have 3 channels, this model's logits 10: words need a CLIP"):
        attributed(model, data, {TAP: layer}, Readout(["a"], np.ones((3, 1))))


def test_names_are_those_of_classes_or_of_words():
    bare = noise.model(small.CONFIG)
    assert list(Readout.of_classes(bare).names)[:2] == ["class 0", "class 1"] and Readout.of_classes(bare).texts is None
    readout = Readout.of_words(["red", "blue"], np.array([[3.0, 4.0, 0.0], [3.0, 0.0, 4.0]]))
    np.testing.assert_allclose(readout.texts, np.array([[0, 1, -1], [0, -1, 1]]).T / np.sqrt(2), atol=1e-6)
