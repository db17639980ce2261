"""`vitjax bench` and `vitjax atlas` of a convolutional network, from the command line to the end."""

import json

import numpy as np
import pytest

from tests.analysis.test_convnets_analyses import folder
from tests.support.pictures import encode, photo, unpack
from tests.support.plain import QUICK
from vitjax.cli import main
from vitjax.models.convnets.resnet import ResNetConfig
from vitjax.optimize.cost import step_flops
from vitjax.optimize.recipes import choose

__all__ = ["folder"]  # a fixture: a small random ResNet as `vitjax convert` writes it

CONFIG = ResNetConfig(image_size=(32, 32), classes=10, depths=(1, 1, 1, 1))


def test_operations_are_those_of_the_convolutions():
    """ResNet-50 takes 4.09 thousand million multiply-adds (He et al. 2016, table 1, of this form), here and back."""
    recipe = choose("default", stages=())
    assert step_flops(ResNetConfig(), "logits", recipe) == pytest.approx(recipe.views * 2 * 2 * 4.09e9, rel=0.01)


@pytest.mark.exhaustive
def test_bench(folder, tmp_path, capsys):
    settings = ["--blocks", "0", "--batch", "1", "--views", "1", "--steps", "1", "--out", str(tmp_path / "bench.json")]
    assert main(["bench", "--model", str(folder), *settings]) == 0
    (row,) = json.loads((tmp_path / "bench.json").read_text())["rows"]
    assert row["setting"]["tap"] == "stages.0.blocks.0.out" and row["tflops"] > 0
    assert main(["bench", "--model", str(folder), "--blocks", "4"]) == 2
    assert "block 4 is out of range, this model has 4 (0-3)" in capsys.readouterr().err


@pytest.mark.exhaustive
def test_an_atlas(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VITJAX_CACHE", str(tmp_path / "cache"))
    unpack(tmp_path / "photos", {f"{i}.png": encode(photo(40, 48, i)) for i in range(4)})
    units = ["--units", "stages.0.blocks.0.out:3-4", *QUICK]
    assert main(["atlas", "--model", str(folder), *units, "--data", "photos", "--k", "2", "--no-retry"]) == 0
    maps = np.load(tmp_path / "atlas/tables/maps.npy")
    assert maps.shape == (2, 2, *CONFIG.grid) and (maps.max(axis=(1, 2, 3)) == 255).all()  # one scale a unit
    about = json.loads((tmp_path / "atlas/page/manifest.json").read_text())
    assert about["units"] == {"stages.0.blocks.0.out": "3-4"}
    assert (tmp_path / "atlas/page/index.html").exists()
