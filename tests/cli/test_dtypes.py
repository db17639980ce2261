"""The dtype that nobody asked for: what paints follows the devices, what measures does not, and all is said."""

import json
from types import SimpleNamespace

import pytest

from tests.support.pictures import encode, photo, unpack
from tests.support.plain import QUICK
from vitjax.analysis.photographs.natural import read_part
from vitjax.atlas.job import run as atlas_run
from vitjax.atlas.records import manifest
from vitjax.atlas.store.sealed import seal
from vitjax.atlas.store.store import Store
from vitjax.cli import main
from vitjax.optimize.results.record import RECORD, read_record
from vitjax.weights import dtypes


@pytest.fixture
def accelerator(monkeypatch):
    """A function that has this process taken for one with an accelerator, or with none again."""

    suited = dtypes.suited

    def pretend(there: bool = True) -> None:
        device = SimpleNamespace(platform="tpu" if there else "cpu")
        for module in (dtypes, atlas_run):
            monkeypatch.setattr(module, "suited", lambda _: suited(device))

    return pretend


@pytest.mark.parametrize(
    ("platform", "capability", "dtype"),
    [
        ("cpu", None, "float32"),
        ("tpu", None, "bfloat16"),
        ("gpu", "9.0", "bfloat16"),
        ("gpu", "8.0", "bfloat16"),
        ("gpu", "7.5", "float32"),
        ("gpu", "gfx90a", "float32"),
    ],
)
def test_devices_that_multiply_bfloat16_faster_paint_in_it(platform, capability, dtype):
    assert dtypes.suited(SimpleNamespace(platform=platform, compute_capability=capability)) == dtype


@pytest.mark.exhaustive
def test_pictures_say_what_they_were_painted_in_and_a_folder_goes_on_in_it(checkpoint, tmp_path, accelerator, capsys):
    accelerator()
    command = ["visualize", *QUICK, "--model", str(checkpoint), "--out", str(tmp_path / "out")]
    assert main([*command, "blocks.1.mlp.hidden:0"]) == 0
    assert "1 picture in" in (said := capsys.readouterr().out) and "painted in bfloat16" in said
    accelerator(False)
    assert main([*command, "blocks.1.mlp.hidden:1", "--overwrite"]) == 0  # as it was begun
    record = read_record(tmp_path / "out")
    assert record["dtype"] == "bfloat16" and len(record["pictures"]) == 2
    assert main([*command, "blocks.1.mlp.hidden:2", "--overwrite", "--dtype", "float32"]) == 2
    assert "another dtype (bfloat16, not float32)" in capsys.readouterr().err

    del record["dtype"]  # as written before records had it
    (tmp_path / "out" / RECORD).write_text(json.dumps(record))
    accelerator()
    assert main([*command, "blocks.1.mlp.hidden:3", "--overwrite"]) == 0
    assert read_record(tmp_path / "out")["dtype"] == "float32" and "painted in" not in capsys.readouterr().out


@pytest.mark.exhaustive
def test_an_atlas_paints_in_one_dtype_and_measures_in_float32(checkpoint, tmp_path, monkeypatch, accelerator, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VITJAX_CACHE", str(tmp_path / "cache"))
    unpack(tmp_path / "photos", {f"{i}.png": encode(photo(40, 48, i)) for i in range(4)})
    units = ["--units", "blocks.1.mlp.hidden:0-1", "--data", "photos", "--k", "2", "--no-page", "--no-retry"]
    command = ["atlas", "--model", str(checkpoint), *QUICK, *units, "--out"]
    measured = lambda out: read_part(tmp_path / out / "natural/part-0-of-1.npz").settings["dtype"]
    accelerator()
    assert main([*command, "new"]) == 0
    assert "2 pictures, painted in bfloat16" in capsys.readouterr().out
    about = manifest.described(Store("new"))
    assert about["dtype"] == "bfloat16" and about["measuring"] == measured("new") == "float32"

    accelerator(False)
    assert main([*command, "new"]) == 0  # goes on as it was begun: nothing is left to do
    assert main([*command, "new", "--dtype", "float32"]) == 2
    assert "dtype is bfloat16 there, float32 here" in capsys.readouterr().err

    old = {name: value for name, value in about.items() if name != "measuring"}  # as begun by an earlier version
    Store("old").create(manifest.KEY, seal(old, indent=1))
    assert main([*command, "old"]) == 0 and measured("old") == "bfloat16"
    assert main([*command, "old", "--dtype", "bfloat16"]) == 0


def test_what_measures_does_not_offer_to_follow_the_devices(checkpoint, capsys):
    for command in (["analyze", "exemplars", "--data", "photos"], ["convert", "--out", "x"], ["taps"]):
        with pytest.raises(SystemExit):
            main([*command, "--model", str(checkpoint), "--dtype", "auto"])
        assert "invalid choice: 'auto'" in capsys.readouterr().err
