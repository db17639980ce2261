"""`vitjax atlas` as its users meet it: made, gone on with, refused, written beside, exported, verified."""

import json
import os
import re
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.support.pictures import encode, photo, unpack
from tests.support.plain import QUICK
from vitjax.cli import main

# The command line where no file may have more than 3,000 bytes, as if the disk were full then.
FULL = """
import resource, runpy
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
runpy.run_module("vitjax", run_name="__main__", alter_sys=True)
"""


@pytest.fixture
def atlas(checkpoint, tmp_path, monkeypatch):
    """A function (*arguments) -> exit code of `vitjax atlas` on that model, quick and in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VITJAX_CACHE", str(tmp_path / "cache"))
    quick = ["--model", str(checkpoint), *QUICK]
    quick += ["--units", "blocks.1.mlp.hidden:0-2"]
    return lambda *arguments: main(["atlas", *quick, *arguments])


def test_an_atlas_is_made_gone_on_with_and_exported(atlas, tmp_path, capsys):
    photos = {f"000{i % 3}_n{i % 3:08}_{i}.png": encode(photo(40, 48, i)) for i in range(6)}
    unpack(tmp_path / "photos", photos)
    (tmp_path / "names.txt").write_text("\n".join(f"kind {i}" for i in range(10)))
    given = ["--data", "photos", "--class-names", "names.txt", "--k", "2", "--seeds", "0,4"]
    assert atlas(*given) == 0
    said = capsys.readouterr().out
    assert "3 units, " in said and "pictures an hour" in said and "atlas/page/index.html" in said
    assert (tmp_path / "atlas/page/data/units.js").exists()
    table = (tmp_path / "atlas/page/manifest.json").read_text()
    assert json.loads(table)["seeds"] == [0, 4] and json.loads(table)["slots"] == 3
    assert "kind 1" in (tmp_path / "atlas/page/data/atlas.js").read_text()

    assert atlas(*given) == 0  # goes on: nothing is left to do
    assert main(["atlas", "--out", "atlas", "--verify"]) == 0

    (tmp_path / "atlas/page/data/units.js").write_text("x")  # a damaged page is found, and mended by the same command
    (tmp_path / "atlas/page/units.parquet").unlink()
    capsys.readouterr()
    assert main(["atlas", "--out", "atlas", "--verify"]) == 1
    said = capsys.readouterr().out
    assert "page/data/units.js: 1 bytes in place of" in said and "page/units.parquet: missing" in said
    assert "run the same `vitjax atlas` command again" in said
    assert atlas(*given) == 0 and main(["atlas", "--out", "atlas", "--verify"]) == 0
    assert main(["atlas", "export", "atlas", "--to", "elsewhere", "--beside", "../other"]) == 0
    assert '"beside":[{"name":"other","path":"../other"}]' in (tmp_path / "elsewhere/data/atlas.js").read_text()
    capsys.readouterr()
    assert main(["atlas", "export", "atlas", "--to", "elsewhere"]) == 2
    assert "elsewhere" in capsys.readouterr().err

    done = subprocess.run(
        [sys.executable, "-c", FULL, "atlas", "export", "atlas", "--to", "full"],
        env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2 and not list(tmp_path.glob("*full*"))
    assert "vitjax: error: cannot write " in done.stderr and "Traceback" not in done.stderr

    assert atlas("--seeds", "1") == 2
    assert "data is source: photos" in (error := capsys.readouterr().err) and "seeds is 0, 4 there, 1 here" in error
    assert atlas("--seeds", "1", "--beside", "--no-page") == 0
    assert (tmp_path / "atlas-2/finished.json").exists() and not (tmp_path / "atlas-2/page").exists()
    assert atlas("--seeds", "1", "--beside", "--no-page") == 0 and not (tmp_path / "atlas-3").exists()


def test_an_atlas_belongs_to_its_photographs_and_names_those_it_could_not_read(atlas, tmp_path, capsys):
    files = {f"{i}.png": encode(photo(40, 48, i)) for i in range(5)} | {"bad.png": b"", "drawn.svg": b""}
    folder = os.fsdecode(b"phot\xf6s")
    unpack(tmp_path / folder, files | {os.fsdecode(b"\xff.png"): b"no", os.fsdecode(b"caf\xe9.png"): files["0.png"]})
    unreadable = {"bad.png": "an empty file", r"\udcff.png": "not an image of a kind that Pillow knows"}
    ended = lambda: json.loads((tmp_path / "atlas/finished.json").read_bytes())["unreadable"]
    given = ["--data", folder, "--k", "8", "--no-retry"]

    assert atlas(*given) == 0 and ended() == unreadable
    error = capsys.readouterr().err
    assert "2 photographs could not be read, e.g. bad.png: an empty file" in error
    assert "left out beside 8 images: 1, e.g. drawn.svg (a kind of image that is not read)" in error
    assert r"caf\\udce9.png" in "".join(path.read_text() for path in (tmp_path / "atlas/page").rglob("*.js"))
    (tmp_path / "atlas/finished.json").unlink()
    assert atlas(*given) == 0 and ended() == unreadable

    (tmp_path / folder / "3.png").write_bytes(encode(photo(40, 48, 9)))
    assert atlas(*given) == 2
    assert re.search(
        r"error: 3\.png in .* is not the photograph that atlas was begun with; put", capsys.readouterr().err
    )
    part = (natural := tmp_path / "atlas/natural/part-0-of-1.npz").read_bytes()
    natural.unlink()
    assert atlas(*given) == 2 and re.search("atlas: data.content is .* there, .* here", capsys.readouterr().err)
    natural.write_bytes(part)

    (tmp_path / folder / "3.png").write_bytes(files["3.png"])
    manifest = tmp_path / "atlas/manifest.json"
    held = json.loads(manifest.read_bytes())
    del held["data"]["content"], held["checksum"]  # as an earlier version wrote it
    manifest.write_text(json.dumps(held))
    (tmp_path / "atlas/finished.json").unlink()
    assert atlas(*given) == 0 and "taken on trust" in capsys.readouterr().err


def test_hosts_by_hand(atlas, tmp_path, capsys):
    assert atlas("--shard", "1/2", "--slots", "1") == 0
    assert "part 1 of 2 is done" in capsys.readouterr().out
    assert main(["atlas", "--out", "atlas", "--verify"]) == 1
    assert "3 missing" in capsys.readouterr().out  # two batches of the other host, and the end
    assert atlas("--shard", "0/2") == 0 and (tmp_path / "atlas/page/index.html").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--repair"], "--repair goes with --verify"),
        (["--verify", "--out", "nowhere"], "nowhere holds no atlas"),
        (["--labels", "x.csv"], "--labels says something of photographs"),
        (["--data", "nowhere"], "nowhere"),
        (["--out", "http://host/x"], "a store is a folder, gs://BUCKET/PATH or s3://BUCKET/PATH"),
        (["--out", "http://host/x", "--beside"], "a store is a folder, gs://BUCKET/PATH or s3://BUCKET/PATH"),
        (["export", "nowhere"], "nowhere holds no atlas"),
        (["export", "nowhere", "--private"], "--private goes with --push"),
    ],
)
def test_mistakes_are_one_line(atlas, capsys, arguments, words):
    code = atlas(*arguments) if arguments[0] not in ("export", "--verify", "--repair") else main(["atlas", *arguments])
    error = capsys.readouterr().err.strip()
    assert code == 2 and error.startswith("vitjax: error: ") and re.search(words, error) and "\n" not in error


def test_serve_says_what_is_no_atlas(tmp_path, capsys):
    assert main(["serve", str(tmp_path)]) == 2
    assert "is no exported atlas" in capsys.readouterr().err
