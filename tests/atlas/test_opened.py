"""An atlas for programs, out of a store and out of an exported folder, and what is written for others."""

import io
import json
import shutil

import numpy as np
import pytest
from PIL import Image

import vitjax
from tests.support.made_up import HOSTILE, UNITS, image, made_up, received
from vitjax.atlas.page.export import export
from vitjax.atlas.page.kept.recipe_names import named
from vitjax.atlas.page.kept.words import read_words
from vitjax.atlas.page.reader import contents
from vitjax.atlas.page.sharing.preview import SIZE, shown
from vitjax.errors import InputError
from vitjax.optimize.recipes import RECIPES


@pytest.fixture(scope="module")
def both(whole, tmp_path_factory) -> tuple[vitjax.open_atlas, ...]:
    """The same atlas, opened as a store and as it was exported."""
    folder = tmp_path_factory.mktemp("opened") / "page"
    export(contents(whole), folder)
    return vitjax.open_atlas(whole.address), vitjax.open_atlas(folder)


def test_a_store_and_its_export_say_the_same(both):
    stored, exported = both
    assert len(stored) == len(exported) > 7 and stored.name(7) == exported.name(7)
    unit = stored.name(7)
    with pytest.raises(InputError, match=r"the atlas has units 0 to \d+, not 1\.5"):
        stored.number(1.5)
    assert stored.number(unit) == exported.number(unit) == 7
    assert stored.units.equals(exported.units) and {*stored.tables} == {*exported.tables}
    assert (stored.picture(unit) == exported.picture(7)).all()  # there are PNGs of so few
    assert stored.about["title"] == exported.about["title"] and repr(stored).startswith("Atlas(")
    for one, other in zip(stored.maps(unit), exported.maps(unit), strict=True):
        assert np.abs(one - other).max() <= max(map(np.max, stored.maps(unit))) / 200
    assert [one.shape for one in stored.photographs(7)] == [one.shape for one in exported.photographs(7)]
    near = [{kind: [name for name, _ in some] for kind, some in atlas.near(unit).items()} for atlas in both]
    assert near[0] == near[1] and set(near[0]) == {"looks", "responses"}


def test_what_is_not_there_is_said(both, tmp_path):
    atlas = both[1]
    with pytest.raises(InputError, match=r"no unit 'blocks.0.mlp.hidden:99999'.*blocks"):
        atlas.picture("blocks.0.mlp.hidden:99999")
    with pytest.raises(InputError, match="units 0 to"):
        atlas.picture(-1)
    with pytest.raises(InputError, match="not a 8th"):
        atlas.picture(7, 7)
    with pytest.raises(InputError, match=r"no table 'unit'.*units"):
        atlas.to_pandas("unit")
    with pytest.raises(InputError):
        vitjax.open_atlas(tmp_path)


def test_a_damaged_export_is_said_file_by_file(site, tmp_path):
    """A table, a picture and a photograph of half their bytes, and one that is not there."""
    atlas = vitjax.open_atlas(folder := shutil.copytree(site, tmp_path / "page"))
    looks = {
        "units.parquet": lambda: atlas.tables,
        "pictures/blocks.3.attn.z/0.0.png": lambda: atlas.picture("blocks.3.attn.z:0.0"),
        "photos/000008.webp": lambda: atlas.photographs("blocks.3.mlp.hidden:0"),
    }
    for name, look in looks.items():
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[: len(whole) // 2])
        with pytest.raises(InputError, match=rf"{name} is damaged \(.*\): export the atlas again"):
            look()
        (folder / name).write_bytes(whole)
    (folder / "photos/000008.webp").unlink()
    with pytest.raises(InputError, match=r"cannot read .*000008.webp"):
        atlas.photographs("blocks.3.mlp.hidden:0")


def test_tables_become_frames_of_pandas(both):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    assert isinstance(both[0].to_pandas(), pandas.DataFrame)


def test_exports_of_schema_1_are_opened(site, tmp_path):
    old = shutil.copytree(site, tmp_path / "old")
    about = old / "data/atlas.js"
    about.write_text(about.read_text().replace('"schema":2', '"schema":1'))
    atlas = vitjax.open_atlas(old)
    detail = old / "data/detail/blocks.3.mlp.hidden/0000.js"
    detail.write_text(detail.read_text().replace('"scale":3.0,', ""))
    first, second = atlas.maps("blocks.3.mlp.hidden:0")
    assert first.mean() == pytest.approx(2.5) and second is None  # its score
    about.write_text(about.read_text().replace('"schema":1', '"schema":9'))
    with pytest.raises(InputError, match="schema 9, this vitjax reads up to 2"):
        vitjax.open_atlas(old)


def test_pngs_say_what_they_are(site, tmp_path):
    file = Image.open(site / "pictures/blocks.3.attn.z/0.0.png")
    assert (np.asarray(file) == image(0, 1)).all()
    assert file.text["unit"] == UNITS[0] and file.text["model"] == HOSTILE[0] and json.loads(file.text["recipe"])
    export(made_up(), tmp_path / "small", lossless=False, contact=False)
    assert not list((tmp_path / "small/pictures").rglob("*.png"))


def test_links_have_a_preview_that_no_name_breaks(site, tmp_path):
    assert Image.open(io.BytesIO((site / "preview.jpg").read_bytes())).size == SIZE
    assert len(shown(made_up())) == 50
    text = (site / "index.html").read_text()
    assert "<script>alert" not in text and '<meta property="og:image" content="preview.jpg">' in text
    export(made_up(["norm:1"]), tmp_path / "one", address="https://example.org/atlas", contact=False)
    assert 'content="https://example.org/atlas/preview.jpg"' in (tmp_path / "one/index.html").read_text()


def test_units_of_a_clip_are_named_by_words(tmp_path):
    units = [f"logits:{number}" for number in range(4)]
    (tmp_path / "words.csv").write_text("unit,word,cosine\nlogits:1,a dog,0.3\nlogits:3,red,0.2\n")
    words = read_words(tmp_path, units)
    assert words == [None, "a dog", None, "red"]
    contents = made_up(units, classes=(), duplicate=(), columns=(), layouts=(), words=words)
    export(contents, tmp_path / "page", contact=False)
    assert received(tmp_path / "page", "units")["words"] == {"names": ["a dog", "red"], "of": [None, 0, None, 1]}
    with pytest.raises(InputError, match="names no unit of this atlas"):
        read_words(tmp_path, ["norm:1"])
    (tmp_path / "words.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="no column 'unit'"):
        read_words(tmp_path, units)


def test_recipes_are_named_by_what_was_changed():
    from dataclasses import asdict, replace

    fast = RECIPES["fast"]
    assert named(fast, asdict(fast))["name"] == "fast"
    changed = named(replace(fast, views=5), {})
    assert (changed["name"], changed["base"], changed["changed"]) == (
        "own settings",
        "fast",
        {"views": [fast.views, 5]},
    )
