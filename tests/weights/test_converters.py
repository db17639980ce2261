"""The scripts of converters/ on small random checkpoints: a table, a verdict, a folder that says how far it agrees."""

import importlib
import json
import re

import numpy as np
import pytest
from safetensors.numpy import save_file

from converters.port import shown
from converters.referees import torch_convnet
from converters.referees.parity import GRADIENT
from tests.models import test_convnets
from tests.support import small
from tests.weights import test_dino, test_parity_google, test_parity_hf, test_parity_openai
from tests.weights.test_push_model import REPO, server
from vitjax.models.convnets.resnet import ResNetConfig
from vitjax.models.registry import abstract
from vitjax.weights.find.source import parse
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


def openai(timm, folder):
    library = pytest.importorskip("transformers")
    return test_parity_openai.small(library, folder)[0]


def convnet(timm, folder):
    """A small ResNet as timm keeps it, for `converters/port_timm.py`."""
    theirs = test_convnets.random_like(timm.create_model("resnet50", layers=[1, 1, 1, 1], num_classes=7))
    save_file(test_convnets.tensors(theirs), folder / "model.safetensors")
    config = {"architecture": "resnet50", "num_classes": 7, "model_args": {"layers": [1, 1, 1, 1]}}
    about = test_convnets.IMAGENET | {"input_size": [3, 32, 32], "num_classes": 7}
    (folder / "config.json").write_text(json.dumps(config | {"pretrained_cfg": about}))
    return folder


@pytest.mark.representatives("transformers", "openai")
@pytest.mark.parametrize("make", [google, dino, transformers, openai, convnet])
def test_every_script(timm, server, tmp_path, capsys, make):
    (tmp_path / "source").mkdir()
    source, out = make(timm, tmp_path / "source"), tmp_path / "out"
    script = importlib.import_module(f"converters.port_{'timm' if make is convnet else make.__name__}")
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


@pytest.mark.representatives("mobilenet_v2")
@pytest.mark.parametrize("name", ["mobilenet_v2", "densenet121"])
def test_files_of_torchvision(timm, tmp_path, name):
    """The referee is torchvision's model with the file's weights, of old DenseNets too."""
    import torch
    from torchvision import models

    from converters.port_torchvision import referee

    theirs = test_convnets.random_like(models.get_model(name, num_classes=3))
    old = lambda tensor: re.sub(r"(denselayer\d+\.(?:norm|conv))(\d)", r"\1.\2", tensor)
    path = tmp_path / f"{name}-12345678.pth"
    torch.save({old(tensor): value for tensor, value in theirs.state_dict().items()}, path)
    loaded, run = referee(parse(path), load(path, image_size=32, cache=False))
    assert not loaded.training and run is torch_convnet.reference
    for tensor, value in loaded.state_dict().items():
        assert torch.equal(value, theirs.state_dict()[tensor])


def test_the_gradient_of_relus_is_judged_in_float64_alone(capsys):
    errors = {GRADIENT: {"float64": 1e-9, "float32": 1e-2, "library's float32": 1e-5}}
    assert shown(abstract(ResNetConfig()), errors, "timm")
    assert not shown(abstract(small.CONFIG), errors, "timm")
    assert "differs" in capsys.readouterr().out


def test_a_model_that_differs_is_not_written(timm, tmp_path, capsys, monkeypatch):
    from converters import port_google as script

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
    from converters import port_google as script

    assert script.main([str(google(timm, tmp_path)), *arguments]) == 2
    assert said in capsys.readouterr().err


def test_where_there_is_no_referee(timm, tmp_path, capsys):
    from converters import port_dino as by_dino
    from converters import port_google as by_google

    np.savez(tmp_path / "pre.npz", **test_parity_google.arrays(pre_logits=10))
    assert by_google.main([str(tmp_path / "pre.npz")]) == 2
    assert by_dino.main([str(dino(timm, tmp_path, "backbone.{}".format))]) == 2
    said = capsys.readouterr().err.splitlines()
    assert "has a pre-logits layer" in said[0] and "timm does not know the names" in said[1]
