"""`vitjax analyze`: the catalog fits the code, results land where they should, mistakes get one line."""

import csv
import inspect
import json
from importlib import import_module

import numpy as np
import pytest
from PIL import Image

import vitjax
from vitjax.analysis.study.catalog import ANALYSES
from vitjax.analysis.study.findings import Findings
from vitjax.analysis.study.style import panels
from vitjax.cli import main
from vitjax.cli.analyze import KINDS
from vitjax.errors import InputError


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder of six random images whose names say their classes."""
    folder = tmp_path_factory.mktemp("photos")
    rng, ids = np.random.default_rng(0), vitjax.load("demo").class_names.ids
    for i in range(6):
        Image.fromarray(rng.integers(0, 256, (64, 64, 3), np.uint8)).save(folder / f"{i:04}_{ids[i]}_thing.png")
    return folder


@pytest.mark.parametrize("name", ANALYSES)
def test_every_analysis_takes_the_options_it_is_offered_with(name):
    analysis = ANALYSES[name]
    function = getattr(import_module(f"vitjax.analysis.{analysis.module}"), analysis.function)
    keywords = inspect.signature(function).parameters
    for option in analysis.options:
        assert option.kind in {*KINDS, "words", "flag"}
        assert option.name in keywords, f"{function} takes no {option.name}"
        assert option.required == (keywords[option.name].default is inspect.Parameter.empty)
    assert ("folder" in keywords) == analysis.resumable


@pytest.mark.parametrize("name", ANALYSES)
def test_defaults_are_read_from_the_function_and_said_in_the_help(name, capsys):
    analysis = ANALYSES[name]
    function = getattr(import_module(f"vitjax.analysis.{analysis.module}"), analysis.function)
    keywords, found = inspect.signature(function).parameters, analysis.defaults()
    assert all(keywords[key].default == value for key, value in found.items())
    with pytest.raises(SystemExit):
        main(["analyze", name, "--help"])
    said = " ".join(capsys.readouterr().out.split())
    for option in analysis.options:
        default = keywords[option.name].default
        if isinstance(default, str | int | float) and default and option.kind != "flag":
            assert found[option.name] == default and f"(default: {default})" in said


def test_findings_show_their_figures_and_ten_rows(tmp_path):
    rows = [{"block": i, "top1": i / 7 if i else None} for i in range(12)]
    found = Findings("made-up", rows, {}, {"": panels()[0], "layers": panels()[0]}, summary="2 < 3")
    shown = found._repr_html_()
    assert shown.count("<img") == 2 and shown.count("<tr>") == 11 and "2 &lt; 3" in shown and "2 more rows" in shown
    assert (
        "0.1429" in shown
        and "None" not in shown
        and repr(found) == "Findings of made-up: 12 rows of block, top1\n2 < 3"
    )
    names = {path.name for path in found.save(tmp_path, figures="svg")}
    assert names == {"made-up.json", "made-up.csv", "made-up.svg", "made-up-layers.svg"}
    with pytest.raises(InputError, match="png, svg, pdf"):
        found.save(tmp_path, figures="jpg")


def test_results_are_written_and_not_overwritten(photos, tmp_path, capsys):
    command = ["analyze", "positions", "--data", str(photos), "--batch", "6", "--out", str(tmp_path / "out")]
    assert main(command) == 0
    printed = capsys.readouterr().out
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert files == {"positions.json", "positions.csv", "positions.png"} and all(name in printed for name in files)
    record = json.loads((tmp_path / "out" / "positions.json").read_text())
    assert record["settings"]["model"]["source"] == "demo" and record["settings"]["images"] == 6
    with (tmp_path / "out" / "positions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["condition"] for row in rows] == [row["condition"] for row in record["rows"]]
    assert main(command) == 2
    assert "is there already" in capsys.readouterr().err
    assert main([*command, "--overwrite"]) == 0


MISTAKES = [
    (["exemplars", "--data", "nowhere"], "nowhere does not exist"),
    (["exemplars", "--data", "PHOTOS", "--taps", "blocks.9.mlp.hidden"], "blocks.9.mlp.hidden"),
    (["maps", "--data", "PHOTOS", "--units", "blocks.1.mlp.hiden:0"], "did you mean"),
    (["class-token", "--data", "PHOTOS", "--layers", "99"], "layer 99 is out of range"),
    (["frequency", "--data", "PHOTOS", "--shape", "disc"], "disk"),
    (["masking", "--data", "PHOTOS"], "nothing says where the objects"),
    (["report-card", "--data", "PHOTOS", "--pictures", "PHOTOS"], "pictures.json"),
    (["positions", "--data", "PHOTOS", "--split", "val"], "only parquet data sets have splits"),
]


@pytest.mark.parametrize(("command", "said"), MISTAKES, ids=lambda value: value[0] if isinstance(value, list) else "")
def test_mistakes_get_one_line(command, said, photos, tmp_path, capsys):
    command = [str(photos) if word == "PHOTOS" else word for word in command]
    assert main(["analyze", *command, "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    lines = [line for line in error.splitlines() if line.startswith("vitjax: error:")]
    assert len(lines) == 1 and said in lines[0]
    assert not (tmp_path / "out").exists()


def test_an_unknown_analysis_names_the_known_ones(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["analyze", "exemplar", "--data", "x"])
    assert stop.value.code == 2 and "exemplars" in capsys.readouterr().err
