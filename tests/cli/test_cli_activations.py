"""Atlases of activations on the command line: what goes together, what is planned, one made, and gone on with."""

import numpy as np
import pytest
from PIL import Image

from tests.support.plain import QUICK
from vitjax.atlas.job import run
from vitjax.atlas.records.activation_map import read
from vitjax.atlas.store.store import Store
from vitjax.bench import rates
from vitjax.cli import main
from vitjax.optimize import memory
from vitjax.units.units import Unit

TAP = "blocks.0.resid_post"
OF = ["atlas", "--of", "activations"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["atlas", "--tap", TAP], "--tap says something of activations: add --of activations"),
        (["atlas", "--per-image", "3"], "--per-image says something of activations"),
        ([*OF, "--tap", TAP, "--units", f"{TAP}:3"], "--units does not go with --of activations"),
        ([*OF, "--data", "photos"], "needs to know whose: --tap"),
        ([*OF, "--tap", TAP], "is of what photographs show: name them with --data"),
        ([*OF, "--tap", TAP, "--data", "photos", "--grid", "1"], "--grid 1 has a single cell"),
    ],
)
def test_what_does_not_go_together_is_said_at_once(given, said, capsys):
    assert main(given) == 2
    assert said in capsys.readouterr().err


def test_an_atlas_is_planned_begun_and_gone_on_with(checkpoint, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for number in range(4):
        Image.fromarray(rng.integers(0, 255, (32, 32, 3), np.uint8)).save(tmp_path / "photos" / f"{number}.png")
    cells = ["--tap", TAP, "--per-image", "4", "--grid", "2", "--threshold", "1", "--layout", "pca", "--data", "photos"]
    quick = [*QUICK, "--k", "2", "--no-retry"]
    given = [*OF, "--model", str(checkpoint), *cells, *quick, "--slots", "2", "--no-page", "--out", "atlas"]
    monkeypatch.setattr(memory, "need", lambda *given, **how: (0.0, 1e6))  # which compiles
    monkeypatch.setattr(rates, "matmul_rate", lambda dtype: 1e12)  # which takes its time
    assert main([*given, "--plan"]) == 0
    assert "cells: 4 a tap at most, 2 x 2 for 16 activations of 4 images" in (said := capsys.readouterr().out)
    assert "to sample activations" in said and f"{TAP}.cells" in said and not (tmp_path / "atlas").exists()
    jobs = []
    monkeypatch.setattr(run, "run", lambda job, out, **how: jobs.append(job) or 0)
    assert main(given) == 0 and main(given) == 0
    assert f"{TAP}: 16 activations" in capsys.readouterr().out
    layer, (job, again) = read(Store("atlas")).layers[TAP], jobs
    assert layer.counts.sum() == 16 and job.manifest == again.manifest
    assert job.units == [Unit(f"{TAP}.cells", (i,)) for i in range(len(layer.row))] and job.data is not None
    assert main([*given, "--plan"]) == 0
    assert "cells: those of the map in atlas" in capsys.readouterr().out
    assert main([*given, "--draw", "1"]) == 2
    assert "asked.seed is 0 there, 1 here" in capsys.readouterr().err
