"""The experiments: every script answers for help, and results land where they should."""

import importlib
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tests.support.pictures import photo

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in (ROOT / "experiments").rglob("*.py")
    if "\ndef main()" in path.read_text()
)


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_says_what_it_does(name, monkeypatch, capsys):
    if name.endswith("recipes.peers"):
        pytest.importorskip("torch")
    script = importlib.import_module(name)
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    with pytest.raises(SystemExit) as stop:
        script.main()
    said = " ".join(capsys.readouterr().out.split())
    assert stop.value.code == 0 and " ".join(script.__doc__.splitlines()[0].split()) in said
    assert not hasattr(script, "script") or "--out" in said


def test_results_land_beside_the_script_or_where_they_are_sent(tmp_path, monkeypatch, capsys):
    photo(80, 60).save(tmp_path / "photo.png")
    script = importlib.import_module("experiments.nguyen.filter_row")
    monkeypatch.setattr(sys, "argv", ["filter_row", "--image", f"{tmp_path}/photo.png", "--out", str(tmp_path)])
    script.main()
    assert len(json.loads((tmp_path / "filter-row.json").read_text())["rows"]) == 8
    assert str(tmp_path / "filter-row.png") in capsys.readouterr().out


def test_the_papers_variants_are_architectures_that_load():
    from experiments.ghiasi.variants import VARIANTS, sources
    from vitjax.weights.families.timm.models import CLASSES

    assert len(VARIANTS) == 32 and len(sources(["swin"])) == 10 and len(sources(["twins", "coat"])) == 11
    assert [name for name, source in VARIANTS.items() if source.split("/")[1].split(".")[0] not in CLASSES] == []
    assert sources(["A=b/c", "d/e"]) == {"A": "b/c", "e": "d/e"}


def test_reports_of_dtn_are_of_what_is_finished(tmp_path, monkeypatch, capsys):
    report, ran = importlib.import_module("experiments.dtn.report"), []
    for name in ("vit-layer-0", "vit-dtn-0", "vit-dtn-overwritten-0", "swin-layer-0", "pvt-dtn-0"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "result.json").write_text("{}")
    code = {"experiments.dtn.distances": 1}
    run = lambda words: ran.append(words) or SimpleNamespace(returncode=code.get(words[2], 0))
    monkeypatch.setattr(report.subprocess, "run", run)
    out = tmp_path / "out"
    out.mkdir()
    (out / "accuracy.csv").write_text(
        "model,norm,seeds,top1,top1_sd,top1_above_layer,top1_above_layer_sd,steps,cpu_seconds\n"
        "vit,layer,1,0.25,,,,9,8\nvit,dtn,2,0.275,0.005,0.02,0.001,9,8\n"
    )
    words = ["report", "--runs", f"{tmp_path}/runs", "--data", "tiny", "--limit", "7", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", words)
    assert report.main() == 1
    said = capsys.readouterr()
    assert "swin: no run under DTN" in said.out and "pvt: no run under LayerNorm" in said.out
    assert said.err == "failed: distances of vit\n"
    assert len(ran) == 2 + len(report.LOOKS) and all("vit" in words for words in ran[2:])
    assert all(words[words.index("--limit") + 1] == "7" for words in ran[3:])
    page = (out / "README.md").read_text()
    assert "| vit | DTN | 2 | 27.5 ± 0.5 | +2.0 ± 0.1 | 9 | 8 |" in page and "ListOps" not in page


def test_runs_that_are_measured_on_the_way_have_their_pace_in_the_table(tmp_path):
    """The curve of a run has rows of steps and, between them, of what was measured, which have none."""
    from experiments.dtn.runs import Run
    from experiments.dtn.table import rows

    steps = [{"step": 20 * i, "images_per_second": 70 + 10 * i, "seconds": 5.0 * i} for i in range(3)]
    curve = [*steps[:2], {"step": 30, "top1": 0.3}, steps[2], {"step": 40, "top1": 0.4}]
    (folder := tmp_path / "plain-layer-0").mkdir()
    (folder / "curve.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in curve))
    (folder / "result.json").write_text('{"top1": 0.4, "steps": 40}')
    (row,) = rows(tmp_path, [Run("plain", "layer", 0), Run("plain", "dtn", 0)], ("top1",))
    assert (row["top1"], row["steps"], row["images_per_second"], row["seconds"]) == (0.4, 40, 80, 10)


def test_distances_of_attention_are_of_places_that_attend_to_each_other():
    """In shifted windows, too, where some stand at two ends of the image: as the model masks them."""
    from experiments.dtn.distances import PROBS, between
    from vitjax.models.registry import random
    from vitjax.train.initial import initial

    config, _ = initial("experiments/dtn/configs/swin.json")
    model = random(config)
    tap = f"stages.0.blocks.1{PROBS}"
    attention = np.asarray(model(np.zeros((1, *config.image_size, 3), np.float32), [tap])[tap])[0]
    apart, pairs = between(model.taps()[tap], config.image_size)
    assert ((attention.max(axis=1) > 1e-30) == pairs).all() and not pairs.all()
    assert apart[pairs].max() == pytest.approx(3 * 4 * 2**0.5)  # of a window of four tokens a side, four pixels each
