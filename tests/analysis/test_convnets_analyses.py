"""Analyses of a convolutional network from the command line, and what only a Vision Transformer can do."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from tests.support.small import convnet
from vitjax.analysis.study.patches import at_patches
from vitjax.analysis.views.filters import filters
from vitjax.cli import main
from vitjax.errors import InputError
from vitjax.models.convnets.resnet import ResNetConfig
from vitjax.models.core.tap_site import Site
from vitjax.weights.load import load
from vitjax.weights.publish.converted import export
from vitjax.weights.publish.provenance import Card


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small random ResNet as `vitjax convert` writes it."""
    path = tmp_path_factory.mktemp("models") / "resnet"
    model = convnet(ResNetConfig(image_size=(32, 32), classes=10, depths=(1, 1, 1, 1)))
    model.card = Card("made up", "", "0" * 64, "", "resnet50", "test-1")
    export(model, path)
    return path


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Four pictures of noise, whose names say their classes, and a list of boxes."""
    path = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    names = [f"{i:04}_n{i:08}_thing.png" for i in range(4)]
    for name in names:
        Image.fromarray(rng.integers(0, 256, (40, 40, 3), np.uint8)).save(path / name)
    (path / "a_boxes.txt").write_text("".join(f"{name}\t4\t4\t23\t27\n" for name in names))
    return path


def test_a_converted_network_is_the_same(folder):
    model = load(folder)
    assert model.config == ResNetConfig(image_size=(32, 32), classes=10, depths=(1, 1, 1, 1))
    readme = (folder / "README.md").read_text()
    assert "convolutional-network" in readme and "32 x 32 pixels |" in readme and "patches" not in readme


def test_maps_lie_on_the_grid_of_patches():
    config = ResNetConfig(image_size=(48, 96))  # 3 x 6 patches
    values = np.random.default_rng(0).random((2, 6, 12, 5), np.float32)
    site = lambda height, width: Site((height, width, 5), ("row", "column", "channel"), (height, width))
    patches = at_patches(values, site(6, 12), config.grid)
    np.testing.assert_allclose(patches[0, 7], values[0, 2:4, 2:4].mean(axis=(0, 1)), rtol=1e-5)
    coarse = at_patches(values[:, :2, :4], site(2, 4), config.grid)
    np.testing.assert_allclose(coarse.mean(axis=1), values[:, :2, :4].mean(axis=(1, 2)), rtol=1e-5)
    np.testing.assert_allclose(coarse[0, 6], (values[0, 0, 0] + values[0, 1, 0]) / 2, rtol=1e-5)


def test_views_are_of_vision_transformers(folder):
    with pytest.raises(InputError, match="no patch embedding, of whose filters views are made"):
        filters(load(folder))


ANALYSES = {
    "exemplars": ["--taps", "stages.0.blocks.*.out", "--k", "2"],
    "objects": ["--boxes", "BOXES", "--blocks", "0,3", "--k", "2"],
    "background": ["--boxes", "BOXES", "--k", "2"],
    "masking": ["--boxes", "BOXES"],
    "frequency": ["--radii", "1,0.5"],
    "occlusion": ["--boxes", "BOXES", "--ratios", "0.5", "--taps", "stages.*.blocks.*.out"],
    "shuffle": ["--grids", "2"],
}


@pytest.mark.representatives("exemplars", "masking", "frequency")
@pytest.mark.parametrize("name", ANALYSES)
def test_what_any_model_can_do(folder, photos, tmp_path, name):
    options = [str(photos / "a_boxes.txt") if option == "BOXES" else option for option in ANALYSES[name]]
    command = ["analyze", name, "--model", str(folder), "--data", str(photos), "--batch", "4", "--out", str(tmp_path)]
    assert main([*command, *options]) == 0
    with (tmp_path / f"{name}.csv").open() as file:
        rows = list(csv.DictReader(file))
    for column, read in {"images": {"4"}, "block": {"0", "3"}}.items():
        assert {row[column] for row in rows if column in row} <= read
    measured = next(name for name in ("loss", "best", "outside") if name in rows[0])
    assert len({row[measured] for row in rows}) >= min(len(rows), 2)
    assert json.loads((tmp_path / f"{name}.json").read_text())["settings"]["model"]["architecture"] == "resnet50"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (
            "analyze patch-heads",
            "patch-heads needs a model with class token; this one can do: exemplars, maps, objects, background",
        ),
        ("analyze occlusion", "give masks or boxes"),
        ("analyze occlusion --native --fills remove", "no occlusion by 'remove'"),
        ("analyze shuffle --taps pooled", "has no vector for each token"),
    ],
)
def test_mistakes_get_one_line(folder, photos, tmp_path, capsys, command, said):
    command = [*command.split(), "--model", str(folder), "--data", str(photos), "--out", str(tmp_path)]
    assert main(command) == 2
    error = capsys.readouterr().err.strip()
    assert said in error and "\n" not in error
