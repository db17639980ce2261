"""Small random PiTs of timm through the converter: every activation, the output and its gradient."""

import numpy as np
import pytest

from converters.referees.parity import GRADIENT, TOLERANCE, relative_errors
from converters.referees.pit import reference
from tests.support.noise import randomise
from vitjax.weights.families.family import port
from vitjax.weights.families.timm.models import TIMM
from vitjax.weights.parameters import build

EXACT = 1e-9
SMALL = {"img_size": [64, 96], "base_dims": [8, 8, 8], "heads": [1, 2, 4], "depth": [1, 2, 1], "num_classes": 7}
PREPROCESS = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}


def make(timm, architecture="pit_ti_224", arguments=None, seed=0):
    """A model of timm with every parameter drawn at random, and the config.json it would have."""
    arguments = {**SMALL, **(arguments or {})}
    model = timm.create_model(architecture, **arguments).eval()
    randomise(model, r"norm\w*\.weight$", seed)
    return model, {"architecture": architecture, "model_args": arguments, "pretrained_cfg": PREPROCESS}


def tensors(model):
    """The model's tensors by timm's names."""
    return {name: tensor.numpy() for name, tensor in model.state_dict().items()}


def errors(model, theirs, dtype):
    """Those of every tap, the output and the gradient, on images of noise."""
    images = np.random.default_rng(1).random((2, *model.config.image_size, 3)).astype(dtype)
    theirs = theirs.double() if dtype is np.float64 else theirs.float()
    return relative_errors(model, reference(theirs, images, model.config.preprocess))


@pytest.mark.parametrize(
    ("architecture", "arguments", "dtype", "tolerance"),
    [
        ("pit_ti_distilled_224", {}, np.float64, EXACT),
        ("pit_b_224", {"img_size": [42, 56], "depth": [1, 1, 1]}, np.float64, EXACT),
        ("pit_ti_224", {"num_classes": 0, "img_size": 32, "depth": [1, 1, 1]}, np.float32, TOLERANCE),
    ],
    ids=["distilled", "patches of 14, plain", "no head"],
)
def test_every_activation(timm, architecture, arguments, dtype, tolerance):
    theirs, config_json = make(timm, architecture, arguments)
    model = build(*port(TIMM, tensors(theirs), config_json))
    found = errors(model, theirs, dtype)
    assert set(found) == {*model.taps(), GRADIENT}
    worst = max(found, key=found.get)
    assert found[worst] <= tolerance, (worst, found[worst])
