"""An atlas of a model of stages, from the command line to its page: where each unit fired, on the grid of its stage."""

import json
from dataclasses import replace

import pytest
from pyarrow import parquet

from tests.analysis.test_stages import CONFIG
from tests.support.pictures import encode, photo, unpack
from tests.support.plain import QUICK
from tests.support.small import convnet as filled
from vitjax.cli import main
from vitjax.weights.publish.converted import export
from vitjax.weights.publish.provenance import Card

pytestmark = pytest.mark.exhaustive  # what is of a stage is also in tests/analysis/test_stages.py
SMALL = replace(CONFIG, depths=(1, 1))
UNITS = ["stages.0.blocks.0.mlp.hidden:3", "stages.1.blocks.0.mlp.hidden:5"]
GRIDS = {UNITS[0]: (9, 7), UNITS[1]: (5, 4)}


@pytest.fixture(scope="module")
def atlas(tmp_path_factory):
    """The folder of an atlas of one unit of each of two stages."""
    folder = tmp_path_factory.mktemp("stages")
    model = filled(SMALL)
    model.card = Card("swin", "", "00", "mit", "swin_tiny_patch4_window7_224", "timm-1")
    export(model, folder / "swin")
    unpack(folder / "photos", {f"{i}.png": encode(photo(56, 72, i)) for i in range(4)})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VITJAX_CACHE", str(folder / "cache"))
        how = [*QUICK, "--k", "2", "--no-retry", "--out", str(folder / "atlas")]
        said = ["--model", str(folder / "swin"), "--units", *UNITS, "--data", str(folder / "photos")]
        assert main(["atlas", *said, *how]) == 0
    return folder / "atlas"


def details(atlas, unit: str) -> list[dict]:
    """What the page of a unit shows of its best photographs."""
    tap = unit.partition(":")[0]
    text = (atlas / f"page/data/detail/{tap}/0000.js").read_text()
    (found,) = json.loads(text.partition(", ")[2].rstrip().removesuffix(");"))
    return found["exemplars"]


def test_maps_and_patches_are_of_the_stage(atlas):
    maps = parquet.read_table(atlas / "tables/maps.parquet").to_pylist()
    assert [(row["rows"], row["columns"]) for row in maps] == [*GRIDS.values()]
    assert all(len(row["maps"]) == 2 * row["rows"] * row["columns"] for row in maps)
    about = json.loads((atlas / "page/data/atlas.js").read_text().partition(", ")[2].rstrip().removesuffix(");"))
    assert about["grid"] == [9, 7]
    early, late = (details(atlas, unit) for unit in UNITS)
    assert all("grid" not in one for one in early) and all(one["grid"] == [5, 4] for one in late)
    for row, found in zip(maps, (early, late), strict=True):
        size = row["rows"] * row["columns"]
        maps = [row["maps"][start : start + size] for start in (0, size)]
        assert max(map(max, maps)) == 255
        assert [heights[one["patch"]] for heights, one in zip(maps, found, strict=True)] == [max(one) for one in maps]


def test_the_page_frames_the_place_that_fired(atlas, browser):
    page = browser.new_page(viewport={"width": 1000, "height": 700})
    page.goto(f"{(atlas / 'page/index.html').as_uri()}#/unit/{UNITS[1]}")
    page.wait_for_selector(".photograph .patch")
    assert page.locator(".photograph .patch").first.evaluate("box => [box.style.width, box.style.height]") == [
        "25%",
        "20%",
    ]
    assert page.locator(".photograph .map").first.evaluate("map => [map.width, map.height]") == [4, 5]
    page.close()
