"""Analyses of models whose stages have fewer and fewer tokens: where a unit fires is a place of its own stage."""

from dataclasses import replace

import numpy as np
import pytest

from tests.support import small
from tests.support.pictures import encode, photo, unpack
from tests.support.small import convnet as filled
from tests.support.small import read
from vitjax.analysis.photographs import exemplar_tables
from vitjax.analysis.photographs.exemplars import exemplars
from vitjax.analysis.study.blocks import after_blocks, last_stage, same_tokens
from vitjax.analysis.study.checks import check_facts
from vitjax.analysis.study.patches import at_patches, numbers_of_tokens, own_grid
from vitjax.analysis.units import maps
from vitjax.analysis.units.maps import activation_maps
from vitjax.analysis.views.rollout import relevance
from vitjax.data.dataset import open_dataset
from vitjax.data.pipeline import pixels
from vitjax.data.placement import patch_box, place_size
from vitjax.errors import InputError
from vitjax.models.core.network import FACTS
from vitjax.models.core.preprocess import Input, Preprocess
from vitjax.models.core.tap_site import Site, halved
from vitjax.models.hierarchical.levit import LevitConfig
from vitjax.models.hierarchical.swin import SwinConfig
from vitjax.weights.publish.provenance import Card
from vitjax.weights.publish.readme import of_model

# 9 x 7 places, then 5 x 4: windows that are filled up, odd merging, and in block 1 a shift.
CONFIG = SwinConfig(
    (36, 28),
    (4, 4),
    (12, 24),
    (2, 1),
    (2, 3),
    (24, 40),
    classes=4,
    windows=(4, 4),
    preprocess=Preprocess(crop=1.0, mode="squash"),
)
SHIFTED, LATER = "stages.0.blocks.1", "stages.1.blocks.0"
TAPS = [f"{SHIFTED}.mlp.hidden", f"{SHIFTED}.attn.z", f"{LATER}.mlp.hidden", f"{LATER}.attn.q"]
GRIDS = [(9, 7), (9, 7), (5, 4), (5, 4)]


@pytest.fixture(scope="module")
def model():
    return filled(CONFIG)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    unpack(folder, {f"{i}.png": encode(photo(56, 72, i)) for i in range(6)})
    return open_dataset(folder, CONFIG, batch=3)


def on_own_grid(model, images: np.ndarray) -> list[np.ndarray]:
    """The values of TAPS at every place, [image, row, column, unit]."""
    values = read(model, images.astype(np.float32) / 255, reads=tuple(TAPS))
    return [np.asarray(values[tap]).reshape(len(images), *grid, -1) for tap, grid in zip(TAPS, GRIDS, strict=True)]


def test_the_patch_that_fired_is_a_place_of_the_taps_own_grid(model, data):
    found = exemplars(model, data, TAPS, k=2)
    images = pixels(data.images, range(6), CONFIG)
    for tap, grid, values in zip(TAPS, GRIDS, on_own_grid(model, images), strict=True):
        natural, units = found.taps[tap], np.arange(values.shape[-1])
        assert natural.grid == grid and natural.tokens == range(grid[0] * grid[1])
        best = values[natural.place[:, 0], :, :, units].reshape(len(units), -1)
        np.testing.assert_allclose(best.mean(axis=1), natural.score[:, 0], rtol=1e-4, atol=1e-5)
        assert (best[units, natural.patch[:, 0]] >= best.max(axis=1) - 1e-5).all()
        assert np.isfinite(natural.tally.norm).all(), "of the token in the residual stream of the same stage"


def test_a_shifted_block_shows_a_patch_where_it_is(model):
    """A change of one patch reaches, through the windows of block 0, these places of block 1 and no others."""
    image = np.random.default_rng(0).random((1, 36, 28, 3), np.float32)
    other = image.copy()
    other[0, 20:24, 8:12] = 0  # patch (5, 2), in the window of rows 4 to 7 and columns 0 to 3
    tap = f"{SHIFTED}.attn.v"
    before, after = (np.asarray(read(model, one, reads=(tap,))[tap])[0] for one in (image, other))
    moved = np.abs(after - before).max(axis=(-2, -1))
    assert {*zip(*(axis.tolist() for axis in np.nonzero(moved > 1e-6)), strict=True)} == {
        (row, column) for row in range(4, 8) for column in range(4)
    }
    assert np.unravel_index(moved.argmax(), moved.shape) == (5, 2)


def test_the_patch_is_framed_where_its_place_is_in_the_original(model, data):
    findings = exemplar_tables.run(model, data, taps=TAPS, k=2)
    for row in findings.tables["exemplars"].to_pylist():
        side = 4 if row["unit"].startswith("stages.0") else 8  # pixels of a place; originals are twice as large
        assert (row["left"], row["top"]) == pytest.approx((2 * side * row["column"], 2 * side * row["row"]))
        assert row["right"] - row["left"] == pytest.approx(2 * side) == row["bottom"] - row["top"]
        columns = 7 if side == 4 else 4
        assert (row["row"], row["column"]) == divmod(row["patch"], columns)


def test_one_patch_is_one_of_the_taps_own(model, data):
    natural = exemplars(model, data, TAPS[2], tokens="patch 13", k=1).taps[TAPS[2]]
    values = on_own_grid(model, pixels(data.images, range(6), CONFIG))[2]
    np.testing.assert_allclose(natural.score[:, 0], values[:, 3, 1].max(axis=0), rtol=1e-4, atol=1e-5)
    assert (natural.patch == 13).all()
    with pytest.raises(InputError, match="'patch 20' is out of range, this tap has 20 patches"):
        exemplars(model, data, TAPS[2], tokens="patch 20", k=1)


def test_scores_of_windows_have_photographs_and_no_patch(model, data):
    tap = f"{SHIFTED}.attn.scores"
    natural = exemplars(model, data, tap, k=1).taps[tap]
    assert natural.grid is None and (natural.patch == -1).all() and len(natural.tokens) == 6
    images = pixels(data.images, range(6), CONFIG)
    values = np.asarray(read(model, images.astype(np.float32) / 255, reads=(tap,))[tap]).mean(axis=1).reshape(6, -1)
    np.testing.assert_allclose(natural.score[:, 0], values.max(axis=0), rtol=1e-4, atol=1e-4)
    with pytest.raises(InputError, match=r"attn.scores has no patches"):
        maps.run(model, data, units=f"{tap}:0.0.0")


def test_maps_of_all_stages_lie_over_the_same_patches(model, data):
    images = pixels(data.images, range(2), CONFIG)
    units = [f"{TAPS[0]}:3", f"{TAPS[2]}:5"]
    found = activation_maps(model, images, units)
    early, _, late, _ = on_own_grid(model, images)
    np.testing.assert_allclose(found[:, 0], early[..., 3], rtol=1e-4, atol=1e-5)
    over = late[..., 5].repeat(2, axis=1).repeat(2, axis=2)[:, :9, :7]
    np.testing.assert_allclose(found[:, 1], over, rtol=1e-4, atol=1e-5)
    own = activation_maps(model, images, units[1], grid=(5, 4))[:, 0]
    np.testing.assert_allclose(own, late[..., 5], rtol=1e-4, atol=1e-5)


def test_the_peak_of_a_map_is_a_place_of_the_taps_own_grid(model, data):
    rows = maps.run(model, data, units=[f"{TAPS[0]}:3", f"{TAPS[2]}:5"], k=1).rows
    for row, tap, unit in zip(rows, (0, 2), (3, 5), strict=True):
        place = int(row["image"][0])
        values = on_own_grid(model, pixels(data.images, [place], CONFIG))[tap][0, ..., unit]
        assert values[row["row"], row["column"]] == pytest.approx(values.max(), abs=1e-5) and row["norm"] > 0


@pytest.mark.parametrize(
    ("grid", "later", "times"),
    [((56, 56), (7, 7), 8), ((9, 7), (5, 4), 2), ((14, 14), (4, 4), 4), ((27, 27), (7, 7), 4), ((3, 6), (2, 4), None)],
)
def test_stages_halve_a_grid_and_round_up(grid, later, times):
    assert halved(grid, later) == times and halved(grid, grid) == 1
    assert halved(later, grid) is None


def test_a_place_of_a_later_stage_is_twice_as_large():
    config = Input((36, 28), patch_size=(4, 4))
    assert place_size(config, (9, 7)) == (4, 4) and place_size(config, (5, 4)) == (8, 8)
    assert place_size(config, (6, 6)) == (6, 28 / 6)
    left, top, right, bottom = patch_box(
        (28, 36), replace(config, preprocess=Preprocess(crop=1.0, mode="squash")), 4, 3, (5, 4)
    )
    assert (left, top, right, bottom) == (24, 32, 32, 40), "the last of an odd number reaches beyond the image"


def test_places_smaller_than_patches_are_averaged_over_them():
    site = Site((6, 12, 5), ("row", "column", "channel"), (6, 12))
    assert own_grid(site, (3, 6)) == (3, 6) and numbers_of_tokens("patches", site, (3, 6)) == range(18)
    values = np.random.default_rng(0).random((1, 6, 12, 5), np.float32)
    np.testing.assert_allclose(at_patches(values, site, (3, 6))[0, 7], values[0, 2:4, 2:4].mean(axis=(0, 1)), rtol=1e-5)


def test_blocks_of_the_last_stage_are_those_of_the_same_tokens(model):
    assert last_stage(model) == [f"{LATER}.resid_post"] and not same_tokens(model)
    assert last_stage(small.model()) == after_blocks(small.model()) and same_tokens(small.model())


def test_what_needs_the_same_tokens_is_refused_whatever_a_model_says_of_itself(model):
    class Boastful:
        facts, layers, taps = FACTS, model.layers, model.taps

    lacking = "class-token needs a model with the same tokens in all blocks; this one can do: exemplars, maps"
    with pytest.raises(InputError, match=lacking):
        check_facts("class-token", Boastful)
    check_facts("rollout", Boastful)


def test_rollout_is_that_of_the_last_stage():
    model = filled(LevitConfig((32, 32), (8, 8), (12, 20), (1, 2), (2, 3), (24, 40), classes=4, key_width=3))
    images = np.random.default_rng(0).random((2, 32, 32, 3), np.float32)
    taps = tuple(f"stages.1.blocks.{block}.attn.probs" for block in range(2))
    values = read(model, images, reads=taps)
    first, second = (np.asarray(values[tap]).mean(axis=1) / 2 + np.eye(4) / 2 for tap in taps)
    found = relevance(model, images)
    assert found.shape == (2, 2, 4, 4)
    np.testing.assert_allclose(found[0], first, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found[1], second @ first, rtol=1e-4, atol=1e-6)


def test_the_readme_of_a_converted_model_has_its_stages():
    readme = of_model(CONFIG, Card("swin", "", "00", "mit", "swin_tiny_patch4_window7_224", "timm-1"), 5, "path")
    assert "| stages | 2 |" in readme and "| blocks, heads, width of each | 2, 1; 2, 3; 12, 24 |" in readme
    assert '"vision-transformer"' in readme
