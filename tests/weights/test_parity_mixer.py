"""Small random MLP-Mixers and ResMLPs of timm through the converter: every activation, the output and its gradient."""

import numpy as np
import pytest
import torch

from converters.referees.mixer import reference
from converters.referees.parity import GRADIENT, TOLERANCE, relative_errors
from tests.support.noise import randomise
from vitjax.weights.families.family import port
from vitjax.weights.families.timm.models import TIMM
from vitjax.weights.parameters import build

EXACT = 1e-9
SMALL = {"img_size": [48, 64], "patch_size": 16, "embed_dim": 28, "num_blocks": 2, "num_classes": 7}
MIXER = {**SMALL, "mlp_ratio": [0.75, 2.0]}
RESMLP = {**SMALL, "mlp_ratio": 1.5}
PREPROCESS = {"mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0], "interpolation": "bilinear", "crop_pct": 0.875}


def make(timm, architecture, arguments):
    """A model of timm with every parameter drawn at random, and the config.json it would have.

    timm makes architectures by their names in their own sizes alone, so it is its class that is asked for others.
    """
    modules = timm.models.mlp_mixer
    kind = {"block_layer": modules.ResBlock, "norm_layer": modules.Affine} if architecture.startswith("resmlp") else {}
    theirs = modules.MlpMixer(**arguments, **kind).eval()
    randomise(theirs, r"norm\w*\.(weight|alpha)$|ls\d$")
    return theirs, {"architecture": architecture, "model_args": arguments, "pretrained_cfg": PREPROCESS}


def tensors_of(theirs):
    return {name: tensor.numpy() for name, tensor in theirs.state_dict().items()}


@pytest.mark.parametrize(
    ("architecture", "arguments", "dtype"),
    [
        ("mixer_b16_224", MIXER, np.float32),
        ("mixer_b16_224", MIXER, np.float64),
        ("resmlp_12_224", RESMLP, np.float64),
    ],
)
def test_every_activation(timm, architecture, arguments, dtype):
    theirs, config_json = make(timm, architecture, arguments)
    model = build(*port(TIMM, tensors_of(theirs), config_json))
    images = np.random.default_rng(1).random((2, *model.config.image_size, 3)).astype(dtype)
    theirs = theirs.to(getattr(torch, np.dtype(dtype).name))
    found = relative_errors(model, reference(theirs, images, model.config.preprocess))
    assert set(found) == {*model.taps(), GRADIENT}
    worst = max(found, key=found.get)
    assert found[worst] <= (TOLERANCE if dtype is np.float32 else EXACT), (worst, found[worst])
