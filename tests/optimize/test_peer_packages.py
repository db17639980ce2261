"""What Lucent and Horama are given: the unit as vitjax has it, and crops as torchvision cuts them."""

import json

import numpy as np
import pytest

import vitjax
from tests.support import small
from vitjax.units.units import Unit


@pytest.fixture
def checkpoint(timm, tmp_path):
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    sizes = {"img_size": 32, "patch_size": 8, "embed_dim": 48, "depth": 4}
    model = timm.create_model("vit_tiny_patch16_224", **sizes)
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    pictures = {"mean": [0.5, 0.4, 0.3], "std": [0.5, 0.6, 0.7]}
    config = {"architecture": "vit_tiny_patch16_224", "model_args": sizes, "pretrained_cfg": pictures}
    (tmp_path / "config.json").write_text(json.dumps(config))
    return tmp_path


def test_the_unit_is_the_same(checkpoint):
    import torch

    from experiments.recipes.peer_packages import Neuron

    model, unit = vitjax.load(checkpoint, cache=False), Unit("blocks.2.mlp.hidden", (5,))
    images = np.random.default_rng(0).random((2, *model.config.image_size, 3), np.float32)
    neuron = Neuron(checkpoint, model.config, unit)
    theirs = neuron(torch.from_numpy(images).permute(0, 3, 1, 2))
    ours = np.asarray(small.read(model, images, reads=unit.tap)[unit.tap])[:, model.config.prefix :, 5].mean()
    np.testing.assert_allclose(theirs, ours, rtol=1e-5)
    assert neuron.history == [float(theirs)]
    assert len(neuron.net.blocks) == 3


def test_crops_of_a_slope_are_its_values_at_the_pixels_middles(timm):
    import torch

    from experiments.recipes.peer_packages import crops

    rows, columns = torch.meshgrid(torch.arange(10.0), torch.arange(12.0), indexing="ij")
    boxes = torch.tensor([[0, 1.0, 2, 7, 5], [0, 9.0, 7, 15, 10]])
    found = crops(torch.stack([columns, rows])[None], boxes, (3, 6))
    assert found.shape == (2, 2, 3, 6)
    np.testing.assert_allclose(found[0, 0], np.tile(np.arange(1.5, 7), (3, 1)), rtol=1e-5)
    np.testing.assert_allclose(found[0, 1], np.tile(np.arange(2.5, 5)[:, None], (1, 6)), rtol=1e-5)
    # Up to a pixel outside the image its edge goes on, and beyond there is nothing.
    np.testing.assert_allclose(found[1, 0, 0], [9.5, 10.5, 11, 0, 0, 0], rtol=1e-5)
