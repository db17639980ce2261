"""The command line as its users meet it: pictures in a folder, mistakes in one line, interruptions without loss."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

import vitjax
from tests.support import plain
from vitjax.bench.measure import Row
from vitjax.cli import main
from vitjax.optimize.results import pictures


def opened(path):
    """An image file, read whole."""
    with Image.open(path) as image:
        image.load()
        return image


QUICK = ["--recipe", "ghiasi", "--set", "steps=4", "--set", "views=2"]


def test_visualize_writes_pictures_a_record_and_a_sheet(checkpoint, tmp_path, capsys):
    out = tmp_path / "out"
    units = ["blocks.1.mlp.hidden:0-2", "logits:7"]
    assert main(["visualize", "--model", str(checkpoint), "--out", str(out), "--seed", "3", *QUICK, *units]) == 0
    record = json.loads((out / "pictures.json").read_text())
    assert record["seed"] == 3 and record["recipe"]["steps"] == 4 and record["model"]["source"] == str(checkpoint)
    assert len(record["model"]["sha256"]) == 64
    assert [row["unit"] for row in record["pictures"]][-1] == "logits:7" and len(record["pictures"]) == 4
    for row in record["pictures"]:
        image = opened(out / row["file"])
        assert image.size == (32, 32) and image.text["unit"] == row["unit"] and np.isfinite(row["activation"])
        assert json.loads(image.text["recipe"])["views"] == 2 and image.text["seed"] == "3"
    assert opened(out / "contact_sheet.png").size[0] > 32
    assert capsys.readouterr().out.strip().endswith("contact_sheet.png")
    assert not list(out.glob("*.part"))

    again = ["visualize", "--model", str(checkpoint), "--out", str(out), *QUICK, "logits:1"]
    assert main(again) == 2
    assert "already holds pictures" in capsys.readouterr().err
    assert main([*again, "--seed", "3", "--overwrite"]) == 0
    assert len(json.loads((out / "pictures.json").read_text())["pictures"]) == 5
    assert main([*again, "--overwrite"]) == 2  # another seed: the record would not be true of all its pictures
    assert "seed" in capsys.readouterr().err


def test_the_default_folder_is_the_next_free_one(checkpoint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for options in ([], ["--variants", "3"]):
        command = ["visualize", "--model", str(checkpoint), "--sample", "3", *QUICK, *options, "blocks.1.mlp.hidden:*"]
        assert main(command) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"pictures", "pictures-2"}
    units = [row["unit"] for row in json.loads((tmp_path / "pictures-2" / "pictures.json").read_text())["pictures"]]
    assert len(units) == 9 and {unit.partition("#")[2] for unit in units} == {"", "1", "2"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["visualize", "--model", "demoo"], "did you mean demo"),
        (["visualize", "blocks.1.mlp.hiden:3"], "did you mean blocks.1.mlp.hidden"),
        (["visualize", "blocks.1.mlp.hidden:96"], "out of range"),
        (["visualize", "hello"], "write TAP:INDEX"),
        (["visualize", "logits:1", "--set", "step=3"], "did you mean steps"),
        (["visualize", "logits:1", "--set", "steps"], "FIELD=VALUE"),
        (["visualize", "logits:1", "--image-size", "33"], "not divisible by the patch"),
        (["visualize", "logits:1", "--set", "tokens=patch 4"], "has 4 patches"),
        (["bench", "--blocks", "2"], "block 2 is out of range"),
        (["bench", "--recipe", "gihasi"], "did you mean ghiasi"),
        (["bench", "--batch", "1,0"], "--batch is 0, it must be a whole number of at least 1"),
        (["bench", "--views", "1,1000000000"], "--views is 1000000000"),
        (["bench", "--devices", "0"], "--devices is 0"),
        (["bench", "--devices", "99"], "99 devices: this machine has"),
        (["bench", "--compare", "README.md"], "no measurements of this version"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(checkpoint, tmp_path, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(tmp_path)
    model = [] if "--model" in arguments else ["--model", str(checkpoint)]
    assert main([*arguments, *model]) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("vitjax: error: ") and words in error and "\n" not in error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "vitjax: error: the following arguments are required: COMMAND; see `vitjax --help`"),
        ("visualise", "vitjax: error: argument COMMAND: invalid choice: 'visualise' (did you mean visualize"),
        (
            "atlas exprt",
            "vitjax atlas: error: invalid choice: 'exprt' (did you mean export?); see `vitjax atlas --help`",
        ),
        ("visualize --recpie fast", "vitjax visualize: error: unrecognized arguments: --recpie (did you mean --recipe"),
        (
            "atlas --set steps=3 views=1",
            "vitjax atlas: error: invalid choice: 'views=1' (did you mean --set views=1?); see",
        ),
        (
            "analyze directions --tap norm --data x --methd ica",
            "vitjax analyze directions: error: unrecognized arguments: --methd ica (did you mean --method",
        ),
        (
            "analyze grid --tap norm --data x --groups few",
            "vitjax analyze grid: error: argument --groups: 'few' is not a number of at least 1; see `vitjax analyze",
        ),
        (
            "dictionary train --tap norm --data x --out run --widht 4",
            "vitjax dictionary train: error: unrecognized arguments: --widht 4 (did you mean --width",
        ),
        (
            "visualize logits:1 --set steps=3 views=1",
            "vitjax visualize: error: unrecognized arguments: views=1 (did you mean --set views=1?)",
        ),
        (
            "analyze exemplars --data x --ks 3",
            "vitjax analyze exemplars: error: unrecognized arguments: --ks 3 (did you mean --k",
        ),
        ("dictionary train", "vitjax dictionary train: error: the following arguments are required: --tap"),
        ("visualize TEXT:0", "vitjax: error: {text} is damaged, truncated or not an .npz archive"),
    ],
)
def test_mistakes_in_a_command_are_one_line(tmp_path, capsys, words, said):
    (text := tmp_path / "text.npz").write_text("hello")
    words = [str(text) + word[4:] if word.startswith("TEXT") else word for word in words.split()]
    try:
        code = main(words)
    except SystemExit as stop:
        code = stop.code
    error = capsys.readouterr().err
    assert code == 2 and error.count("\n") == 1 and error.startswith(said.format(text=text))


def test_a_folder_that_cannot_be_written_is_named(checkpoint, tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    assert main(["visualize", "--model", str(checkpoint), "--out", str(tmp_path / "file" / "out"), "logits:1"]) == 2
    assert "cannot write to the folder" in capsys.readouterr().err


def test_a_full_disk_is_named_and_the_record_stays_true(checkpoint, tmp_path, monkeypatch, capsys):
    arguments = [
        "visualize",
        "--model",
        str(checkpoint),
        "--out",
        str(tmp_path / "out"),
        *QUICK,
        "--batch",
        "1",
        "logits:1,2",
    ]
    replace, calls = os.replace, []

    def full(source, target):
        calls.append(target)
        if len(calls) > 2:
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    assert main(arguments) == 2
    assert "no space left on device" in capsys.readouterr().err
    assert [row["unit"] for row in pictures.read_record(tmp_path / "out")["pictures"]] == ["logits:1"]


def test_ctrl_c_leaves_what_is_finished(checkpoint, tmp_path):
    out = tmp_path / "out"
    many = [*plain.QUICK, "--set", "steps=300", "--batch", "1", "blocks.0.mlp.hidden:0-49"]
    arguments = ["--model", str(checkpoint), "--out", str(out), *many]
    running = subprocess.Popen(
        [sys.executable, "-m", "vitjax", "visualize", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while running.poll() is None and len(pictures.read_record(out).get("pictures", [])) < 1:
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    output, errors = running.communicate()
    finished = pictures.read_record(out)["pictures"]
    assert running.returncode == 130 and 1 <= len(finished) < 50
    assert f"{len(finished)} of 50 pictures are finished" in errors and "Traceback" not in errors
    assert output.strip().endswith("contact_sheet.png")
    for row in finished:
        opened(out / row["file"])


@pytest.mark.exhaustive
def test_bench_measures(checkpoint, tmp_path, monkeypatch, capsys):
    out, settings = tmp_path / "bench.json", ["--steps", "2", "--blocks", "1", "--remat", "both"]
    command = ["bench", "--model", str(checkpoint), *settings]
    assert main([*command, "--batch", "2", "--out", str(out)]) == 0
    record = json.loads(out.read_text())
    assert [(row["setting"]["tap"], row["setting"]["batch"], row["setting"]["remat"]) for row in record["rows"]] == [
        ("blocks.1.mlp.hidden", 2, remat) for remat in (False, True)
    ]
    for row in record["rows"]:
        assert row["steps_per_second"] > 0 and row["compile_seconds"] > 0 and row["megabytes"] > 0
        hourly = 3600 * row["setting"]["batch"] * row["steps_per_second"] / record["settings"]["recipe"]["steps"]
        assert row["pictures_per_hour"] == pytest.approx(hourly)
    assert record["copy_gigabytes_per_second"] > 0 and out.with_suffix(".png").stat().st_size > 1000
    assert "times before" not in capsys.readouterr().out

    asked = []

    def measured(model, recipe, setting, steps, rate):  # whose rows are those of the file
        asked.append(setting)
        return Row(**record["rows"][setting.remat] | {"setting": setting})

    monkeypatch.setattr("vitjax.bench.run.measure", measured)
    assert main([*command, "--batch", "1,2", "--compare", str(out)]) == 0
    assert [(one.batch, one.remat) for one in asked] == [(1, False), (1, True), (2, False), (2, True)]
    assert capsys.readouterr().out.count("1.00 times before") == 2


def test_a_notebook_shows_the_pictures(checkpoint):
    shown = vitjax.visualize(vitjax.load(checkpoint), "blocks.1.mlp.hidden:0-2", "ghiasi", steps=4, views=2)
    assert "<img" in shown._repr_html_() and "3 pictures of" in repr(shown) and len(shown) == 3
