"""Small random PVTs of timm and transformers through the converter: every activation, the output and its gradient."""

import numpy as np
import pytest

from converters.referees.parity import GRADIENT, relative_errors
from converters.referees.pvt import reference
from tests.support.noise import randomise
from vitjax.weights.families.family import port
from vitjax.weights.families.timm.models import TIMM
from vitjax.weights.parameters import build

EXACT = 1e-9
PREPROCESS = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "input_size": [3, 72, 100]}
SMALL = {"embed_dims": [16, 24, 30], "num_heads": [2, 3, 5], "mlp_ratios": [4, 3, 2], "num_classes": 7}
SMALL |= {"sr_ratios": [8, 2, 1], "depths": [2, 1, 1]}


def make(timm, architecture, arguments, seed=0):
    """A model of timm with every parameter drawn at random, and the config.json it would have."""
    model = timm.create_model(architecture, **arguments).eval()
    randomise(model, r"norm\w*\.weight$", seed)
    return model, {"architecture": architecture, "model_args": arguments, "pretrained_cfg": PREPROCESS}


def ported(theirs, config_json):
    """The same model here."""
    return build(*port(TIMM, {name: tensor.numpy() for name, tensor in theirs.state_dict().items()}, config_json))


def errors(model, theirs, dtype, reference=reference):
    """Those of every tap, the output and the gradient, on images of noise."""
    theirs = theirs.to(getattr(__import__("torch"), np.dtype(dtype).name))
    images = np.random.default_rng(1).random((2, *model.config.image_size, 3)).astype(dtype)
    return relative_errors(model, reference(theirs, images, model.config.preprocess))


@pytest.mark.parametrize("architecture", ["pvt_v2_b0", "pvt_v2_b2_li"])
def test_every_activation(timm, architecture):
    theirs, config_json = make(timm, architecture, SMALL)
    model = ported(theirs, config_json)
    found = errors(model, theirs, np.float64)
    assert set(found) == {*model.taps(), GRADIENT}
    worst = max(found, key=found.get)
    assert found[worst] <= EXACT, (worst, found[worst])
