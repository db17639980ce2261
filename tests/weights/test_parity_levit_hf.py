"""A small random LeViT of transformers, saved by its own `save_pretrained`: every activation must be transformers'."""

import json

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file

from converters.referees.parity import GRADIENT, TOLERANCE, relative_errors
from converters.referees.transformers_levit import reference
from tests.support.noise import randomise
from tests.weights.test_parity_hf import transformers  # noqa: F401
from vitjax.errors import InputError
from vitjax.weights import parameters
from vitjax.weights.families.family import config_of, port
from vitjax.weights.families.transformers.towers import TRANSFORMERS
from vitjax.weights.load import load
from vitjax.weights.rules.convert import convert

pytestmark = pytest.mark.exhaustive  # parity of ViTs, Swin, Twins and PVT is shown by the suite

EXACT = 1e-9
SMALL = {
    "image_size": 96, "hidden_sizes": [32, 48, 64], "key_dim": [8, 8, 8], "depths": [2, 1, 1],
    "num_attention_heads": [2, 3, 5], "num_labels": 7,
}  # fmt: skip


@pytest.fixture(scope="module", params=["LevitForImageClassificationWithTeacher", "LevitModel"])
def saved(transformers, request, tmp_path_factory):  # noqa: F811
    """A model with every parameter and statistic drawn at random, and the folder that it is saved in."""
    import torch

    model = getattr(transformers, request.param)(transformers.LevitConfig(**SMALL)).eval()
    randomise(model, r"batch_norm\.weight$")
    generator = torch.Generator().manual_seed(0)
    for name, buffer in model.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(generator=generator)
        elif name.endswith("running_var"):
            buffer.copy_(torch.randn(buffer.shape, generator=generator).exp())
    folder = tmp_path_factory.mktemp(request.param)
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps({"size": {"shortest_edge": 96}, "crop_size": 96}))
    return model, folder


def errors(model, theirs, dtype):
    images = np.random.default_rng(1).random((2, *model.config.image_size, 3)).astype(dtype)
    found = relative_errors(model, reference(theirs, images, model.config.preprocess))
    assert set(found) == {*model.taps(), GRADIENT}
    return found


def test_every_activation(saved):
    theirs, folder = saved
    model = load(folder, cache=False)
    assert max(errors(model, theirs, np.float32).values()) <= TOLERANCE
    assert model.config.preprocess.crop == pytest.approx(96 / int(256 / 224 * 96))
    assert model.config.preprocess.interpolation == "bicubic" and model.config.preprocess.mean[0] == 0.485
    if model.output == "pooled":
        return
    settings = read(folder)
    with jax.enable_x64(True):
        exact = parameters.build(model.config, unrounded(load_file(folder / "model.safetensors"), settings))
        assert max(errors(exact, theirs.double(), np.float64).values()) <= EXACT
    theirs.float()


def read(folder):
    files = {"preprocessor": "preprocessor_config.json"}
    settings = json.loads((folder / "config.json").read_text())
    return settings | {key: json.loads((folder / file).read_text()) for key, file in files.items()}


def unrounded(tensors, settings):
    """The model's arrays in float64."""
    config = config_of(TRANSFORMERS, tensors, settings)
    rules = TRANSFORMERS.table(config, settings, tensors)
    shapes, stacks = parameters.shapes(config), parameters.stacks(config)
    return convert(TRANSFORMERS.tensors(tensors, settings), rules, shapes, stacks, np.float64)


def test_what_cannot_be_is_said(saved):
    _, folder = saved
    tensors = load_file(folder / "model.safetensors")
    for said, changes in {
        "stride=4 is not supported for LeViT, only 2": {"stride": 4},
        r"attention_ratio=\[2, 4, 2\] is not supported, only 2": {"attention_ratio": [2, 4, 2]},
        r"key_dim=\[8, 8, 9\] is not supported, only one": {"key_dim": [8, 8, 9]},
    }.items():
        with pytest.raises(InputError, match=said):
            port(TRANSFORMERS, tensors, read(folder) | changes)
    gone = next(name for name in tensors if name.endswith("stages.1.layers.2.keys_values.batch_norm.bias"))
    del tensors[gone]
    with pytest.raises(InputError, match=f"missing tensors: {gone}"):
        port(TRANSFORMERS, tensors, read(folder))
