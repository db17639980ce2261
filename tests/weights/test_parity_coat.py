"""Small random CoaTs of timm through the converter: every activation, the output and its gradient."""

import numpy as np
import pytest
import torch

from converters.referees.coat import reference
from converters.referees.parity import GRADIENT, TOLERANCE, relative_errors
from tests.support.noise import randomise
from vitjax.weights.families.family import port
from vitjax.weights.families.timm.models import TIMM
from vitjax.weights.parameters import build

EXACT = 1e-9
SMALL = {
    "img_size": [64, 96],
    "embed_dims": [16, 32, 40, 48],
    "serial_depths": [2, 1, 1, 1],
    "mlp_ratios": [3.0, 2.0, 2.0, 1.5],
    "num_classes": 7,
}
PARALLEL = {"embed_dims": [16, 32, 32, 32], "mlp_ratios": [3.0, 1.5, 1.5, 1.5], "parallel_depth": 2}
PREPROCESS = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}


def make(timm, architecture, **arguments):
    """A model of timm with every parameter drawn at random, and the config.json it would have."""
    arguments = {**SMALL, **arguments}
    theirs = timm.create_model(architecture, **arguments).eval()
    randomise(theirs, r"norm\w*\.weight$")
    return theirs, {"architecture": architecture, "model_args": arguments, "pretrained_cfg": PREPROCESS}


def ported(theirs, config_json):
    tensors = {name: tensor.numpy() for name, tensor in theirs.state_dict().items()}
    return build(*port(TIMM, tensors, config_json))


def errors(model, theirs, dtype):
    """Those of every tap, the output and the gradient, on images of noise."""
    images = np.random.default_rng(1).random((2, *model.config.image_size, 3)).astype(dtype)
    theirs = theirs.to(getattr(torch, np.dtype(dtype).name))
    return relative_errors(model, reference(theirs, images, model.config.preprocess))


@pytest.mark.parametrize(
    ("architecture", "arguments", "dtype"),
    [
        ("coat_lite_tiny", {}, np.float32),
        ("coat_lite_tiny", {}, np.float64),
        ("coat_tiny", PARALLEL, np.float32),
        ("coat_tiny", PARALLEL, np.float64),
    ],
)
def test_every_activation(timm, architecture, arguments, dtype):
    theirs, config_json = make(timm, architecture, **arguments)
    model = ported(theirs, config_json)
    found = errors(model, theirs, dtype)
    assert set(found) == {*model.taps(), GRADIENT}
    worst = max(found, key=found.get)
    print(worst, found[worst], found["logits"], found[GRADIENT])
    assert found[worst] <= (TOLERANCE if dtype is np.float32 else EXACT), (worst, found[worst])
