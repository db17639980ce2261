"""Small random ConViTs of timm through the converter: every activation, the output and its gradient."""

import numpy as np
import pytest

from converters.referees.convit import reference
from converters.referees.parity import GRADIENT, TOLERANCE, relative_errors
from tests.support.noise import randomise
from vitjax.weights.families.family import port
from vitjax.weights.families.timm.models import TIMM
from vitjax.weights.parameters import build

EXACT = 1e-9
SMALL = {"img_size": 48, "embed_dim": 6, "num_heads": 3, "depth": 4, "local_up_to_layer": 2, "num_classes": 7}
TWO = {"depth": 2, "local_up_to_layer": 1}
PREPROCESS = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}


def make(timm, arguments=None, seed=0):
    """A model of timm with every parameter drawn at random, and the config.json it would have."""
    arguments = {**SMALL, **(arguments or {})}
    model = timm.create_model("convit_tiny", **arguments).eval()
    randomise(model, r"(norm\w*\.weight|gating_param)$", seed)
    return model, {"architecture": "convit_tiny", "model_args": arguments, "pretrained_cfg": PREPROCESS}


def ported(theirs, config_json):
    """Our model of timm's tensors."""
    return build(*port(TIMM, {name: tensor.numpy() for name, tensor in theirs.state_dict().items()}, config_json))


def errors(model, theirs, dtype):
    """Those of every tap, the output and the gradient, on images of noise."""
    images = np.random.default_rng(1).random((2, *model.config.image_size, 3)).astype(dtype)
    theirs = theirs.double() if dtype is np.float64 else theirs.float()
    return relative_errors(model, reference(theirs, images, model.config.preprocess))


@pytest.mark.parametrize(
    ("arguments", "dtype", "tolerance"),
    [
        ({}, np.float64, EXACT),
        (
            {"global_pool": "avg", "qkv_bias": True, "img_size": 32, "depth": 2, "local_up_to_layer": 1},
            np.float64,
            EXACT,
        ),
        ({**TWO, "num_classes": 0}, np.float32, TOLERANCE),
    ],
    ids=["class token", "mean, bias of q, k and v", "no head"],
)
def test_every_activation(timm, arguments, dtype, tolerance):
    theirs, config_json = make(timm, arguments)
    model = ported(theirs, config_json)
    found = errors(model, theirs, dtype)
    assert set(found) == {*model.taps(), GRADIENT}
    worst = max(found, key=found.get)
    assert found[worst] <= tolerance, (worst, found[worst])
