"""Activation maps and what is made of them: by hand, for units of all kinds, whatever the batch."""

from functools import partial

import jax
import matplotlib
import numpy as np
import pytest

from tests.support import noise, small
from vitjax.analysis.photographs.exemplars import exemplars
from vitjax.analysis.photographs.own import on_own_images, own_places
from vitjax.analysis.study.patches import above_half, unevenness
from vitjax.analysis.units import maps, spread
from vitjax.analysis.units.maps import activation_maps, enlarged, in_grey, normalised, overlay
from vitjax.data.pipeline import pixels
from vitjax.errors import InputError

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), np.uint8)
UNITS = ["blocks.2.attn.z:1.3", "blocks.0.mlp.hidden:5,90", "blocks.2.attn.z:2.0", "norm:7"]


def at_patch_tokens(*taps: str, images: np.ndarray = IMAGES) -> list[np.ndarray]:
    """Taps of the small model on the 4 x 4 grid, [image, row, column, *axes], as the forward pass gives them."""
    values = jax.jit(lambda model, images: model(images, taps))(small.model(), images.astype(np.float32) / 255)
    patches = [np.asarray(values[tap])[:, 3:] for tap in taps]
    return [value.reshape(len(images), 4, 4, *value.shape[2:]) for value in patches]


def test_maps_are_the_values_at_the_patches_in_the_order_of_the_units():
    found = activation_maps(small.model(), IMAGES, UNITS, batch=2)
    z, hidden, norm = at_patch_tokens("blocks.2.attn.z", "blocks.0.mlp.hidden", "norm")
    wanted = np.stack([z[..., 1, 3], hidden[..., 5], hidden[..., 90], z[..., 2, 0], norm[..., 7]], axis=1)
    assert found.shape == (5, 5, 4, 4)
    # Other batches, other sums: relative to the tap's largest value, as parity is measured.
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


def test_maps_do_not_depend_on_the_batch():
    model = small.model()
    a, b = (activation_maps(model, IMAGES, UNITS, batch=size) for size in (3, 64))
    close = partial(np.testing.assert_allclose, rtol=0, atol=1e-5 * np.abs(a).max())
    close(a, b)
    close(activation_maps(model, IMAGES[3:4], UNITS), a[3:4])


def test_a_map_is_normalised_by_itself_and_a_constant_one_is_zero():
    some = np.stack([np.full((2, 2), 7.0), [[-1.0, 0.0], [1.0, 3.0]]])
    assert normalised(some).tolist() == [[[0, 0], [0, 0]], [[0, 0.25], [0.5, 1]]]


def test_an_enlarged_map_has_a_rectangle_for_each_patch():
    map = np.arange(6.0).reshape(2, 3)
    assert np.array_equal(enlarged(map, 8, 6), np.kron(map, np.ones((4, 2))))
    smooth = enlarged(map, 8, 6, smooth=True)
    assert smooth.shape == (8, 6) and len(np.unique(smooth)) > 6
    assert np.array_equal(in_grey(map, 8, 6)[..., 1], np.round(255 / 5 * np.kron(map, np.ones((4, 2)))))


def test_an_overlay_goes_from_the_grey_image_to_the_colours():
    image, map = IMAGES[0], np.arange(16.0).reshape(4, 4)
    grey = overlay(image, map, alpha=0)
    assert np.ptp(grey, axis=2).max() == 0
    np.testing.assert_allclose(grey[..., 0], image @ np.array([0.299, 0.587, 0.114]), atol=1)
    colors = overlay(image, map, alpha=1)
    low, high = (np.round(255 * np.array(matplotlib.colormaps["viridis"](end)[:3])) for end in (0.0, 1.0))
    assert np.all(colors[:8, :8] == low) and np.all(colors[24:, 24:] == high)
    assert np.array_equal(overlay(image, np.ones((4, 4)), alpha=1), np.broadcast_to(low, (32, 32, 3)))


def test_unevenness_and_the_share_above_half():
    values = np.array([[2.0, 2.0, 2.0, 2.0], [0.0, 0.0, 0.0, 4.0], [-1.0, -1.0, 1.0, 1.0], [-3.0, -1.0, -2.0, -2.0]])
    found = np.asarray(unevenness(values))
    np.testing.assert_allclose(found[:2], [0, np.sqrt(3)], rtol=1e-6)
    assert np.isnan(found[2:]).all()
    assert above_half(values).tolist() == [1, 0.25, 0.5, 0]


def test_every_unit_is_measured_on_its_own_image():
    model, data = small.model(), noise.dataset(11, batch=4)
    found = exemplars(model, data, ["blocks.1.mlp.hidden", "blocks.2.attn.v"], k=1)
    own = own_places(found)
    own["blocks.1.mlp.hidden"][7] = -1
    scores = on_own_images(model, data, own, lambda values: values.mean(axis=1))
    for tap, places in own.items():
        best = found.taps[tap].score[:, 0].copy()
        best[places < 0] = np.nan
        np.testing.assert_allclose(scores[tap], best[None], rtol=1e-4, atol=1e-6)
    views = on_own_images(
        model, noise.dataset(11, batch=7), own, lambda v: v.mean(axis=1), lambda x, by: x * by[:, None, None, None],
        np.array([1.0, 0.5], np.float32),
    )  # fmt: skip
    np.testing.assert_allclose(views["blocks.2.attn.v"][0], scores["blocks.2.attn.v"][0], rtol=1e-4, atol=1e-6)
    unit, place = 40, own["blocks.2.attn.v"][40]
    halved = pixels(data.images, [place], data.config) / np.float32(510)
    value = np.asarray(model(halved, "blocks.2.attn.v")["blocks.2.attn.v"])[0, 3:].reshape(16, -1)[:, unit].mean()
    np.testing.assert_allclose(views["blocks.2.attn.v"][1, unit], value, rtol=1e-4, atol=1e-6)


def test_a_run_shows_each_unit_on_its_best_images(tmp_path):
    data = noise.dataset(9, batch=4)
    painting = {"blocks.1.mlp.hidden:3": IMAGES[0]}
    findings = maps.run(small.model(), data, units="blocks.1.mlp.hidden:3,40", k=2, pictures=painting)
    best = exemplars(small.model(), data, "blocks.1.mlp.hidden", k=2).taps["blocks.1.mlp.hidden"]
    assert [row["image"] for row in findings.rows] == [data.images.names[i] for i in best.place[[3, 40]].ravel()]
    np.testing.assert_allclose([row["score"] for row in findings.rows], best.score[[3, 40]].ravel(), rtol=1e-4)
    map = activation_maps(small.model(), pixels(data.images, best.place[40, :1], data.config), "blocks.1.mlp.hidden:40")
    row = findings.rows[2]
    assert row["peak"] == pytest.approx(map.max()) and map[0, 0, row["row"], row["column"]] == map.max()
    assert (
        len(findings.figures[""].axes[0].images) == 2 + 2 * 2 * 2
    )  # a picture, the colour bar; 2 units, 2 images, 2 views
    assert {path.suffix for path in findings.save(tmp_path)} == {".json", ".csv", ".png"}


def test_a_run_shows_some_units_where_none_are_named():
    findings = maps.run(small.model(), noise.dataset(3, batch=2), k=5)
    assert {row["unit"].split(".")[1] for row in findings.rows} == set("0123")
    assert len(findings.rows) == maps.SAMPLE * 3  # there are but three images


def test_patches_that_point_the_same_way_are_alike():
    rng = np.random.default_rng(0)
    same = rng.uniform(0.5, 2, (2, 6, 1)) * rng.normal(size=(2, 1, 5))
    np.testing.assert_allclose(spread.likeness(same), 1, rtol=1e-5)
    np.testing.assert_allclose(spread.likeness(np.eye(4)[None]), 0, atol=1e-6)
    mixed = rng.normal(size=(3, 8))
    unit = mixed / np.linalg.norm(mixed, axis=1, keepdims=True)
    np.testing.assert_allclose(spread.likeness(mixed[None]), (unit @ unit.T)[~np.eye(3, dtype=bool)].mean(), rtol=1e-5)


@pytest.mark.exhaustive
def test_spread_says_of_each_block_how_uneven_maps_are():
    model, data = small.model(), noise.dataset(7, batch=4)
    findings = spread.run(model, data, blocks=[3, 1])
    assert [row["block"] for row in findings.rows] == [3, 1]
    best = own_places(exemplars(model, data, "blocks.3.mlp.hidden", k=1))["blocks.3.mlp.hidden"]
    images = pixels(data.images, range(7), data.config)
    hidden, out = at_patch_tokens("blocks.3.mlp.hidden", "blocks.1.attn.out", images=images)
    own = hidden.reshape(7, 16, 96)[best, :, np.arange(96)]
    active = own.mean(axis=1) > 0
    uneven = own[active].std(axis=1) / own[active].mean(axis=1)
    row = findings.rows[0]
    assert row["silent"] == (~active).sum()
    np.testing.assert_allclose(row["unevenness"], np.median(uneven), rtol=1e-4)
    alike = spread.likeness(out.reshape(7, 16, 48)).mean()
    np.testing.assert_allclose(findings.rows[1]["likeness_attn.out"], alike, rtol=1e-4)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda model: activation_maps(model, IMAGES, "logits:3"), r"logits has no patches \(its axes are class\)"),
        (lambda model: activation_maps(model, IMAGES, "blocks.1.attn.probs:0.1.2"), "has no patches"),
        (lambda model: activation_maps(model, IMAGES, "blocks.1.mlp.hidden:96"), "96 is out of range"),
        (lambda model: activation_maps(model, IMAGES, "blocks.1.mlp.hiden:9"), "did you mean blocks.1.mlp.hidden"),
        (lambda model: activation_maps(model, IMAGES / 255, "norm:0"), "images are float64 .*must be uint8"),
        (lambda model: activation_maps(model, IMAGES[:0], "norm:0"), "one at least"),
        (lambda model: maps.run(model, noise.dataset(2, 2), views=["photos"]), "unknown view 'photos'.*mean photo"),
        (lambda model: maps.run(model, noise.dataset(2, 2), units="pooled:1"), "pooled has no patches"),
        (lambda model: spread.run(model, noise.dataset(2, 2), blocks=[4]), "block 4 is out of range"),
    ],
)
def test_mistakes_are_named(call, words):
    with pytest.raises(InputError, match=words) as error:
        call(small.model())
    assert "\n" not in str(error.value)
