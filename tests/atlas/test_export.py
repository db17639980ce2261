"""The export of an atlas: what is written is what was given, whatever things are called."""

import base64
import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.conftest import ROOT
from tests.support.made_up import HOSTILE, SIDE, UNITS, details, image, made_up, received
from vitjax.atlas.page.contents import Layout
from vitjax.atlas.page.export import export
from vitjax.atlas.page.pool import Pool
from vitjax.atlas.page.sheets import cells_for, thumbnails
from vitjax.errors import InputError

BRIGHTNESS = np.array([0.299, 0.587, 0.114])  # what WebP keeps at full resolution; colours are kept at half of it


def pixels(path: Path) -> np.ndarray:
    """An image file's pixels, int."""
    with Image.open(path) as file:
        return np.asarray(file).astype(int)


def test_atlas_says_what_it_is(site):
    atlas = received(site, "atlas")
    assert (atlas["schema"], atlas["count"], atlas["image_size"], atlas["grid"]) == (
        2,
        len(UNITS),
        [SIDE, SIDE],
        [4, 4],
    )
    assert atlas["taps"] == [
        {"tap": "blocks.3.attn.z", "first": 0, "count": 90},
        {"tap": "blocks.3.mlp.hidden", "first": 90, "count": 200},
        {"tap": "logits", "first": 290, "count": 1},
    ]
    assert atlas["sheets"] == {"side": 512, "cells": [8, 16, 32, 64]}
    assert atlas["columns"][0] == {"key": "rise", "label": "rise", "help": "how far", "kind": "number", "digits": 3}
    assert atlas["columns"][1]["words"] == ["a", "b"] and "digits" not in atlas["columns"][1]
    assert atlas["title"] == HOSTILE[0] and atlas["recipe"]["fields"] == {"steps": 7, "odd": None}


def test_units_in_columns(site):
    units, atlas = received(site, "units"), received(site, "atlas")
    assert [units["index"][number] for number in (0, 31, 90, 91, 290)] == ["0.0", "1.1", "0", "2", "7"]
    rise = units["columns"]["rise"]
    assert rise[0] is None and rise[3] is None and rise[8] == 1.14286
    assert units["columns"]["kind"][:4] == [None, 0, 1, 0]
    assert [[atlas["classes"][place] for place in places] for places in units["classes"][:3]] == [
        [],
        [HOSTILE[1]],
        [HOSTILE[2], "z"],
    ]
    assert units["duplicate"][:5] == [0, None, None, None, 0]


def test_every_unit_has_its_details_and_files(site):
    found = details(site)
    assert [found[number]["unit"] for number in range(len(UNITS))] == UNITS
    for number, one in found.items():
        tap, _, index = UNITS[number].partition(":")
        files = [picture["file"] for picture in one["pictures"]]
        assert files == [f"pictures/{tap}/{index}{end}.webp" for end in ("", ".1", ".2")][: len(files)]
        assert [picture["chosen"] for picture in one["pictures"]] == [True, False, False][: len(files)]
        for made, file in zip((0,) if number % 5 else (1, 0, 2), files, strict=True):  # the chosen one comes first
            assert np.abs(pixels(site / file) - image(number, made)).mean() < 4
        exemplar = one["exemplars"][0]
        assert exemplar["name"] == exemplar["class"] == HOSTILE[number % len(HOSTILE)]
        assert (site / "photos" / f"{exemplar['photo']:06d}.webp").exists()
    heights = np.linspace(-1, 3, 16).clip(0)
    assert list(base64.b64decode(found[1]["exemplars"][0]["map"])) == np.rint(85 * heights).tolist()
    assert found[1]["scale"] == 3.0
    assert found[1]["exemplars"][1] == {
        "photo": 8, "name": "plain.jpg", "class": None, "score": 1.0, "patch": None, "map": None
    }  # fmt: skip
    assert found[1]["pictures"][0]["grades"] == {"rise": None, "kind": "a"}
    assert found[0]["histogram"] is None and found[2]["histogram"] == {"edges": [0.0, 1.0], "counts": [3, 4, 2]}
    assert found[290]["near"] == {"looks": [{"unit": 0, "likeness": 0.75, "same_layer": False}]}
    assert {path.stem for path in (site / "photos").iterdir()} == {f"{number:06d}" for number in (*range(7), 8, 9)}


def test_every_cell_shows_its_unit(site):
    for cell in (8, 16, 32, 64):
        across = 512 // cell
        names = sorted(path.name for path in (site / "sheets" / str(cell)).iterdir())
        assert names == [f"{number:05d}.webp" for number in range(-(-len(UNITS) // across**2))]
        sheets = np.stack([pixels(site / "sheets" / str(cell) / name) for name in names])
        found = sheets.reshape(-1, across, cell, across, cell, 3).swapaxes(2, 3).reshape(-1, cell, cell, 3)
        chosen = [image(number, int(number % 5 == 0)) for number in range(len(UNITS))]
        meant = np.stack([np.asarray(thumbnails(one, (8, 16, 32, 64))[cell]) for one in chosen]).astype(int)
        found, meant = found[: len(UNITS)] @ BRIGHTNESS, meant @ BRIGHTNESS
        assert np.abs(found - meant).mean((1, 2)).max() < 9
        assert np.abs(meant[1:] - meant[:-1]).mean((1, 2)).min() > 20  # a cell of another unit would be noticed


def test_tables_and_manifest_for_programs(site):
    assert pq.read_table(site / "units.parquet")["unit"].to_pylist() == UNITS
    assert json.loads((site / "manifest.json").read_text()) == {"units": len(UNITS), "rate": 0.123456789}


def test_layouts_hold_every_unit_once(site):
    for key in ("layers", "looks"):
        laid = received(site, f"layout-{key}")
        assert len(laid["cells"]) == laid["columns"] * laid["rows"]
        assert sorted(cell for cell in laid["cells"] if cell >= 0) == list(range(len(UNITS)))
    for band, tap in zip(received(site, "layout-layers")["bands"], received(site, "atlas")["taps"], strict=True):
        laid = received(site, "layout-layers")
        cells = laid["cells"][band["row"] * laid["columns"] : (band["row"] + band["rows"]) * laid["columns"]]
        assert [cell for cell in cells if cell >= 0] == list(range(tap["first"], tap["first"] + tap["count"]))


def test_contact_sheets_by_tap(site, tmp_path):
    names = {"blocks.3.attn.z.png", "blocks.3.mlp.hidden.png", "logits.png"}
    assert {path.name for path in (site / "contact").iterdir()} == names
    with Image.open(site / "contact" / "blocks.3.attn.z.png") as sheet:
        assert sheet.text["units"] == "blocks.3.attn.z:0.0 … blocks.3.attn.z:2.29" and sheet.text["recipe"] == "default"
        corner = np.asarray(sheet)[8 : 8 + 128, 8 : 8 + 128]
    assert np.array_equal(corner, np.kron(image(0, 1), np.ones((2, 2, 1), np.uint8)))
    many = made_up([f"norm:{index}" for index in range(1025)], (8, 8), exemplars=lambda n: (), quantiles=lambda n: ())
    export(many, tmp_path / "many")
    assert {path.name for path in (tmp_path / "many" / "contact").iterdir()} == {"norm.1.png", "norm.2.png"}
    export(many, tmp_path / "without", contact=False)
    assert not (tmp_path / "without" / "contact").exists()


def test_the_page_comes_with_it(site):
    static = ROOT / "vitjax" / "atlas" / "page" / "static"
    shell = re.sub(
        r"<title>.*</title>\n(<meta (property|name)=\"(og|twitter):.*\n)+", "", (site / "index.html").read_text()
    )
    assert shell == (static / "index.html").read_text().replace("<title>vitjax atlas</title>\n", "")
    for path in static.rglob("*"):
        if path.is_file() and path.name != "index.html":
            assert (site / "page" / path.relative_to(static)).read_bytes() == path.read_bytes()


def test_names_stay_inside_strings(site):
    known = re.compile(
        r"(index\.html|preview\.jpg|page/.*|manifest\.json|checksums\.json|units\.parquet|data/(atlas|classes|photographs|units|layout-\w+)\.js"
        r"|photos/\d{6}\.webp|(data/detail|pictures|sheets|contact)/[a-z0-9._/]+)"
    )
    files = [path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()]
    assert [name for name in files if not known.fullmatch(name) or ".." in name] == []
    for path in (site / "data").rglob("*.js"):
        assert not set("<>&\u2028\u2029\0") & set(path.read_text("ascii"))
    assert list(site.parent.iterdir()) == [site]


@pytest.mark.parametrize("unit", ["../x:1", "a:../1", "a:", ":1", "a:1/2", "A:1", "a:.1", "a:x" + 100 * "1", "a:1\n"])
def test_a_unit_whose_name_is_no_files_is_refused(tmp_path, unit):
    with pytest.raises(InputError, match="cannot be a file's name") as error:
        export(made_up(["logits:1", unit], layouts=()), tmp_path / "site")
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"duplicate": [None]}, "duplicate has 1 values"),
        ({"layouts": [Layout("x", "x", 2, 2, np.array([0, 1, 2]))]}, "cells of x"),
        ({"layouts": [Layout("x", "x", 1, 2, np.array([0, 999]))]}, "cells of x"),
        ({"photos": 3}, "there are 3"),
        ({"photo": None}, "photographs"),
        ({"pictures": lambda number: ()}, "0 of the 0 pictures of blocks.3.attn.z:0.0"),
    ],
)
def test_parts_that_do_not_fit_are_refused(tmp_path, changes, wrong):
    with pytest.raises(ValueError, match=wrong):
        export(made_up(**changes), tmp_path / "site")
    assert list(tmp_path.iterdir()) == []


def test_units_apart_or_twice_are_refused(tmp_path):
    for units, wrong in ((["a:1", "b:1", "a:2"], "side by side"), (["a:1", "a:1"], "twice"), ((), "no units")):
        with pytest.raises(ValueError, match=wrong):
            export(replace(made_up(["a:1"]), units=units, columns=(), layouts=(), classes=()), tmp_path / "site")


def test_without_photographs(tmp_path):
    nothing = {name: lambda number: () for name in ("exemplars", "quantiles")}
    bare = made_up(
        ["logits:1"], data=None, classes=(), duplicate=(), histogram=lambda n: None, photo=None, photos=0, **nothing
    )
    export(bare, tmp_path / "site")
    assert not (tmp_path / "site" / "photos").exists()
    assert received(tmp_path / "site", "units")["classes"] == [[]]
    assert received(tmp_path / "site", "units")["duplicate"] == [None]
    assert received(tmp_path / "site", "atlas")["data"] is None


def test_pictures_that_are_not_square(tmp_path):
    export(made_up([f"logits:{index}" for index in range(5)], (24, 48)), tmp_path / "site")
    assert received(tmp_path / "site", "atlas")["sheets"]["cells"] == [8, 16, 32]
    cell = pixels(tmp_path / "site" / "sheets" / "32" / "00000.webp")[:32, 32:64]
    assert (cell[:8, :, 3] == 0).all() and (cell[24:, :, 3] == 0).all() and (cell[8:24, :, 3] == 255).all()
    meant = np.asarray(Image.fromarray(image(1, 0, (24, 48))).resize((32, 16), Image.Resampling.LANCZOS)).astype(int)
    assert np.abs((cell[8:24, :, :3] - meant) @ BRIGHTNESS).mean() < 6


def test_cells_never_exceed_the_picture():
    assert cells_for((224, 224)) == [8, 16, 32, 64, 128]
    assert cells_for((64, 100)) == [8, 16, 32, 64]
    assert cells_for((4, 4)) == [8]


def test_fine_patterns_become_grey_and_not_moire():
    board = np.indices((224, 224)).sum(0) % 2 * 255
    for small in thumbnails(np.repeat(board[..., None], 3, 2).astype(np.uint8), (8, 16, 32, 64, 128)).values():
        assert np.abs(np.asarray(small).astype(int) - 127).max() < 25


def test_pictures_are_asked_for_once_and_not_held(tmp_path):
    asked, alive, most = Counter(), set(), 0
    plain = made_up([f"logits:{index}" for index in range(1500)], (8, 8))

    class Held(np.ndarray):
        def __del__(self):
            alive.discard(id(self))

    def pictures(number: int):
        nonlocal most
        asked[number] += 1
        (one,) = plain.pictures(1)
        held = one.image.view(Held)
        alive.add(id(held))
        most = max(most, len(alive))
        return [type(one)(held, one.made, True)]

    seen = []
    watch = lambda *step: seen.append(step)
    export(made_up(plain.units, (8, 8), pictures=pictures), tmp_path / "site", progress=watch, workers=2)
    assert set(asked.values()) == {1} and len(asked) == 1500
    assert most < 20
    assert ("pictures", 1500, 1500) in seen and ("photos", 9, 9) in seen


def test_a_pool_never_runs_far_ahead():
    taken = []
    items = (taken.append(number) or number for number in range(1000))
    with Pool(2) as pool:
        found = pool.each(lambda number: number**2, items)
        assert next(found) == 0 and len(taken) < 10
        assert list(found) == [number**2 for number in range(1, 1000)]


def test_a_piece_of_work_that_fails_is_never_lost():
    with pytest.raises(ZeroDivisionError), Pool(2) as pool:
        pool.later(lambda: 1 / 0)
        for _ in range(100):
            pool.later(lambda: None)
    with pytest.raises(ZeroDivisionError), Pool(2) as pool:
        pool.later(lambda: 1 / 0)
        pool.settle()
    with pytest.raises(ZeroDivisionError), Pool(2) as pool:
        pool.later(lambda: 1 / 0)
