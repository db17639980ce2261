"""Small random Twins of timm through the converter: every activation, the output and its gradient."""

import numpy as np
import pytest

from converters.referees.parity import GRADIENT, TOLERANCE, relative_errors
from converters.referees.twins import reference
from tests.support.noise import randomise
from vitjax.weights.families.family import port
from vitjax.weights.families.timm.models import TIMM
from vitjax.weights.parameters import build

EXACT = 1e-9
SMALL = {
    "img_size": [64, 96],
    "embed_dims": [16, 24, 32, 48],
    "num_heads": [2, 3, 4, 6],
    "mlp_ratios": [4, 3, 2, 1],
    "num_classes": 7,
}
SVT = {**SMALL, "depths": [3, 2, 1, 2]}
PCPVT = {**SMALL, "depths": [2, 1, 3, 1]}
PREPROCESS = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}


def make(timm, architecture, arguments, seed=0):
    """A model of timm with every parameter drawn at random, and the config.json it would have."""
    model = timm.create_model(architecture, **arguments).eval()
    randomise(model, r"norm\w*\.weight$", seed)
    return model, {"architecture": architecture, "model_args": arguments, "pretrained_cfg": PREPROCESS}


def ported(theirs, config_json):
    """The same model here."""
    return build(*port(TIMM, {name: tensor.numpy() for name, tensor in theirs.state_dict().items()}, config_json))


def errors(model, theirs, dtype):
    """Those of every tap, the output and the gradient, on images of noise."""
    theirs = theirs.to(getattr(__import__("torch"), np.dtype(dtype).name))
    images = np.random.default_rng(1).random((2, *model.config.image_size, 3)).astype(dtype)
    return relative_errors(model, reference(theirs, images, model.config.preprocess))


@pytest.mark.parametrize(
    ("architecture", "arguments", "dtype", "tolerance"),
    [
        ("twins_svt_small", SVT, np.float32, TOLERANCE),
        ("twins_svt_small", SVT, np.float64, EXACT),
        ("twins_pcpvt_small", PCPVT, np.float64, EXACT),
    ],
)
def test_every_activation(timm, architecture, arguments, dtype, tolerance):
    theirs, config_json = make(timm, architecture, arguments)
    model = ported(theirs, config_json)
    found = errors(model, theirs, dtype)
    assert set(found) == {*model.taps(), GRADIENT}
    worst = max(found, key=found.get)
    assert found[worst] <= tolerance, (worst, found[worst])
