"""Two models side by side: units matched and layers compared as by plain formulas on all values at once."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from tests.support import noise, small
from tests.support.pictures import levels
from vitjax.analysis.alignment import cka, cka_layers, layers, matching, pearson
from vitjax.analysis.alignment.relative_representation import agreement, relative
from vitjax.analysis.scores.paired import Side, side_by_side
from vitjax.data.dataset import Dataset
from vitjax.errors import InputError
from vitjax.models.vit import ViT
from vitjax.weights.parameters import build, shapes

RNG = np.random.default_rng(0)
TAP = "blocks.0.mlp.hidden"
CONFIG = replace(small.CONFIG, depth=1, width=24, mlp_width=20)
OTHER = noise.model(replace(CONFIG, image_size=(16, 16), patch_size=(8, 8)))


def permuted() -> tuple[ViT, ViT, np.ndarray]:
    """A model, a copy with the neurons of its MLP in another order, and that: unit i of the copy is unit order[i]."""
    arrays = {name: RNG.normal(0, 0.3, shape).astype(np.float32) for name, shape in shapes(CONFIG).items()}
    order = RNG.permutation(20)
    turned = {
        name: array[..., order]
        if array.shape[-1] == 20
        else array[..., order, :]
        if 20 in array.shape[-2:-1]
        else array
        for name, array in arrays.items()
    }
    return build(CONFIG, arrays), build(CONFIG, turned), order


@pytest.fixture(scope="module")
def data() -> Dataset:
    """30 random pictures."""
    return noise.dataset(30, 8, CONFIG)


def test_pearson_is_that_of_all_samples_at_once():
    x, y = RNG.normal(5, 2, (60, 6)), RNG.normal(-1, 1, (60, 4))
    y[:, 0] = 3 - x[:, 2]
    y[:, 1], x[:, 5] = 7, 0.1
    whole = pearson.pearson(pearson.products(x, y))
    with np.errstate(invalid="ignore"):
        assert_allclose(whole, np.nan_to_num(np.corrcoef(x.T, y.T)[:6, 6:]), atol=1e-9)
    parts = [pearson.products(x[i::4], y[i::4]) for i in range(4)]
    streamed = None
    for part in reversed(parts):
        streamed = pearson.merge(streamed, part)
    assert_allclose(pearson.pearson(streamed), whole, atol=1e-9)


def test_mutual_and_assigned_matches():
    table = np.array([[0.9, 0.8, 0], [0.95, 0, 0.1], [0.3, 0.2, 0.1]])
    assert pearson.mutual(table).tolist() == [False, True, False]
    assert pearson.assigned(table).tolist() == [1, 0, 2]
    assert pearson.assigned(table[:, :1]).tolist() == [-1, 0, -1]


def test_a_permuted_copy_is_matched_exactly(data):
    model, copy, order = permuted()
    for over in ("images", "places"):
        found = matching.run(model, data, other=copy, over=over, control=True)
        rows = found.tables["matches"].to_pylist()
        meant = [f"{TAP}:{int(np.flatnonzero(order == unit)[0])}" for unit in range(20)]
        assert [row["match"] for row in rows] == [row["assigned"] for row in rows] == meant
        assert min(row["correlation"] for row in rows) >= 0.9999 and all(row["mutual"] for row in rows)
        assert np.mean([row["correlation_shuffled"] for row in rows]) < 0.9
        assert found.rows[0]["assigned"] >= 0.9999 and found.rows[0]["mutual"] == 1
    assert found.settings["grid"] == (4, 4) and found.settings["samples"] == 30 * 16


def test_places_are_those_of_the_coarser_grid(data):
    (tap,) = layers.chosen(OTHER, None, OTHER.neurons, "patches")
    grid = layers.shared_grid(noise.model(CONFIG), OTHER)
    asked = layers.sides((noise.model(CONFIG), OTHER), ([TAP], [tap]), data, "patches", grid)
    assert grid == (2, 2) and asked[1].input.preprocess.crop == CONFIG.preprocess.crop
    place, (ours, theirs) = next(side_by_side(asked, data))
    assert ours[TAP].shape == theirs[tap].shape == (8, 4, 20) and place.tolist() == list(range(8))
    images = noise.pixels(data)[:8]
    value = np.asarray(small.read(noise.model(CONFIG), images, reads=(TAP,))[TAP])[:, 3:]
    assert_allclose(ours[TAP][:, 0], value.reshape(8, 4, 4, 20)[:, :2, :2].mean((1, 2)), atol=1e-5)


def test_sides_may_see_the_images_in_another_order(data):
    order = RNG.permutation(30)
    sides = [Side(OTHER, _grey), Side(OTHER, _grey, order=order)]
    found = [(place, *values) for place, values in side_by_side(sides, data)]
    place, straight, mixed = (np.concatenate(column) for column in zip(*found, strict=True))
    assert place.tolist() == list(range(30))
    assert np.array_equal(mixed, straight[order]) and len(np.unique(straight)) == 30


def _grey(model, images):
    return images.mean(axis=(1, 2, 3))


def plain_cka(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Linear CKA and that of the unbiased HSIC, by Gram matrices."""
    n = len(x)
    centre = np.eye(n) - 1 / n

    def biased(a, b):
        return np.trace(a @ a.T @ centre @ b @ b.T @ centre)

    def unbiased(a, b):
        k, m = ((some @ some.T) * (1 - np.eye(n)) for some in (a, b))
        rest = k.sum() * m.sum() / ((n - 1) * (n - 2)) - 2 * (k @ m).sum() / (n - 2)
        return ((k * m).sum() + rest) / (n * (n - 3))

    return tuple(hsic(x, y) / np.sqrt(hsic(x, x) * hsic(y, y)) for hsic in (biased, unbiased))


def test_cka_is_that_of_the_gram_matrices_and_streams():
    x = RNG.normal(2, 1, (40, 5))
    y = x[:, :3] * 2 + RNG.normal(0, 1, (40, 3))
    z = RNG.normal(0, 1, (40, 7))
    whole, widths = cka.moments([x, y, z]), [5, 3, 7]
    parts = [cka.moments([one[i::3] for one in (x, y, z)]) for i in range(3)]
    streamed = cka.merge(cka.merge(cka.merge(None, parts[1]), parts[0]), parts[2])
    for seen in (whole, streamed):
        for i, a in enumerate((x, y, z)):
            for j, b in enumerate((x, y, z)):
                meant = plain_cka(a, b)
                found = cka.linear_cka(seen, widths)[i, j], cka.unbiased_cka(seen, widths)[i, j]
                assert_allclose(found, meant, atol=1e-9)
    few = cka.moments([RNG.normal(size=(30, 200)), RNG.normal(size=(30, 200))])
    assert cka.linear_cka(few, [200, 200])[0, 1] > 0.8 and abs(cka.unbiased_cka(few, [200, 200])[0, 1]) < 0.1


def test_cka_forgets_rotations_and_scale():
    x = RNG.normal(1, 1, (50, 6))
    turned = 7 * x @ np.linalg.qr(RNG.normal(size=(6, 6)))[0] + 3
    seen = cka.moments([x, turned, np.ones((50, 2))])
    for found in (cka.linear_cka(seen, [6, 6, 2]), cka.unbiased_cka(seen, [6, 6, 2])):
        assert_allclose(found[0, 1], 1, atol=1e-5)
        assert np.isnan(found[2]).all()


def test_relative_representations_forget_rotations():
    x = RNG.normal(size=(30, 6))
    turned = 3 * x @ np.linalg.qr(RNG.normal(size=(6, 6)))[0]
    ours, theirs = (relative(one, np.arange(8)) for one in (x, turned))
    assert_allclose(ours, theirs, atol=1e-9)
    assert_allclose(ours[3, 3], 1)
    assert_allclose(agreement(ours, theirs), (1, 1))
    alike, found = agreement(ours, relative(RNG.normal(size=(30, 6)), np.arange(8)))
    assert abs(alike) < 0.4 and found < 0.3


def test_layers_are_compared(data):
    found = cka_layers.run(noise.model(CONFIG), data, other=OTHER, anchors=5, control=True)
    (row,) = found.rows
    read = lambda model, config: np.asarray(
        small.read(model, noise.pixels(replace(data, config=config)), reads=("blocks.0.resid_post",))[
            "blocks.0.resid_post"
        ]
    )[:, 3:].mean(1)
    ours, theirs = read(noise.model(CONFIG), CONFIG), read(OTHER, OTHER.config)
    assert_allclose((row["cka"], row["cka_unbiased"]), plain_cka(ours, theirs), atol=1e-5)
    assert (found.settings["anchors"], found.settings["kept"]) == (5, 30)
    assert abs(row["cka_unbiased_shuffled"]) < 0.5 and row["retrieved"] <= 1


def test_mistakes_are_named(data):
    model = noise.model(CONFIG)
    with pytest.raises(InputError, match=r"over is 'image'.*did you mean images"):
        matching.run(model, data, other=OTHER, over="image")
    with pytest.raises(InputError, match="unknown tap"):
        cka_layers.run(model, data, other=OTHER, other_taps=["blocks.9.resid_post"])
    two = Dataset(levels(2), CONFIG, 2)
    with pytest.raises(InputError, match="correlation, which of 2 images says nothing"):
        matching.run(model, two, other=OTHER)
    with pytest.raises(InputError, match=r"name fewer taps by --taps"):
        layers.check_size(2**20, 2**20, "units")
    with pytest.raises(InputError, match="anchors"):
        cka_layers.run(model, data, other=OTHER, anchors=1)
