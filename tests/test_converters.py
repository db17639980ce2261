"""The scripts of converters/ on small random checkpoints: a table, a verdict, a folder that says how far it agrees."""

import importlib
import json

import numpy as np
import pytest

from converters.parity import GRADIENT
from tests import test_dino, test_parity_google, test_parity_hf
from tests.test_push_model import REPO, server
from vitjax.weights.load import load

__all__ = ["server"]  # a fixture


def google(timm, folder):
    np.savez(folder / "B_16.npz", **test_parity_google.arrays())
    return folder / "B_16.npz"


def dino(timm, folder, change=lambda name: name):
    import torch

    tensors = test_dino.published(timm, "dinov2_vits14_reg4_pretrain")[1]
    torch.save({change(name): tensor for name, tensor in tensors.items()}, folder / "dinov2.pth")
    return folder / "dinov2.pth"


def transformers(timm, folder):
    library = pytest.importorskip("transformers")
    library.logging.disable_progress_bar()
    test_parity_hf.make(library, folder, "DINOv2 with registers")
    return folder


@pytest.mark.parametrize("make", [google, dino, transformers])
def test_every_script(timm, server, tmp_path, capsys, make):
    (tmp_path / "source").mkdir()
    source, out = make(timm, tmp_path / "source"), tmp_path / "out"
    script = importlib.import_module(f"converters.{make.__name__}")
    assert script.main([str(source), "--out", str(out), "--push", REPO]) == 0
    *table, verdict, written, address = capsys.readouterr().out.splitlines()
    model = load(out)
    assert [line.split()[0] for line in table[1:-1]] == list(model.taps()) and GRADIENT in table[-1]
    assert f"none of {len(model.taps()) + 1} differ" in verdict
    assert (written, address) == (f"written to {out}", f"{server.address}/{REPO}")
    proof = json.loads(server.repos[REPO]["main"]["parity.json"])
    assert proof.keys() == {*model.taps(), GRADIENT}
    assert max(row["float64"] for row in proof.values()) <= 1e-6
    assert "`parity.json` has the errors" in server.repos[REPO]["main"]["README.md"].decode()


def test_a_model_that_differs_is_not_written(timm, tmp_path, capsys, monkeypatch):
    from converters import google as script

    row = {"float64": 1e-9, "float32": 1e-4, "library's float32": 2e-5}
    monkeypatch.setattr("converters.port.compare", lambda *given: {"embed": row, "logits": row | {"float32": 4e-5}})
    assert script.main([str(google(timm, tmp_path)), "--out", str(tmp_path / "out")]) == 1
    said = capsys.readouterr().out
    assert [line.split()[0] for line in said.splitlines() if line.endswith("differs")] == ["embed"]
    assert "1 of 2 differ" in said and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--push", "me/x"], "--push goes with --out"),
        (["--private"], "--private with --push"),
        (["--push", "x", "--out", "y"], "'x' is not a name"),
        (["--images", "nowhere"], "nowhere does not exist"),
    ],
)
def test_what_is_refused(timm, tmp_path, capsys, arguments, said):
    from converters import google as script

    assert script.main([str(google(timm, tmp_path)), *arguments]) == 2
    assert said in capsys.readouterr().err


def test_where_there_is_no_referee(timm, tmp_path, capsys):
    from converters import dino as by_dino
    from converters import google as by_google

    np.savez(tmp_path / "pre.npz", **test_parity_google.arrays(pre_logits=10))
    assert by_google.main([str(tmp_path / "pre.npz")]) == 2
    assert by_dino.main([str(dino(timm, tmp_path, "backbone.{}".format))]) == 2
    said = capsys.readouterr().err.splitlines()
    assert "has a pre-logits layer" in said[0] and "timm does not know the names" in said[1]
