"""Small random Swin Transformers of timm through the converter: every activation, the output and its gradient."""

import numpy as np
import pytest

from converters.referees.parity import GRADIENT, TOLERANCE, relative_errors
from converters.referees.swin import reference
from tests.support.noise import randomise
from vitjax.weights.families.family import port
from vitjax.weights.families.timm.models import TIMM
from vitjax.weights.parameters import build

EXACT = 1e-9
SMALL = {"img_size": [72, 56], "embed_dim": 24, "depths": [2, 2, 2], "num_heads": [2, 3, 4], "num_classes": 7}
PREPROCESS = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}


def make(timm, architecture, arguments=None, seed=0):
    """A model of timm with every parameter drawn at random, and the config.json it would have."""
    arguments = {**SMALL, **(arguments or {})}
    model = timm.create_model(architecture, **arguments).eval()
    randomise(model, r"norm\w*\.weight$", seed)
    return model, {"architecture": architecture, "model_args": arguments, "pretrained_cfg": PREPROCESS}


def errors(model, theirs, dtype):
    """Those of every tap, the output and the gradient, on images of noise."""
    images = np.random.default_rng(1).random((2, *model.config.image_size, 3)).astype(dtype)
    return relative_errors(model, reference(theirs, images, model.config.preprocess))


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, TOLERANCE), (np.float64, EXACT)])
def test_every_activation(timm, dtype, tolerance):
    theirs, config_json = make(timm, "swin_tiny_patch4_window7_224")
    tensors = {name: tensor.numpy() for name, tensor in theirs.state_dict().items()}
    model = build(*port(TIMM, tensors, config_json))
    found = errors(model, theirs.to(getattr(__import__("torch"), np.dtype(dtype).name)), dtype)
    assert set(found) == {*model.taps(), GRADIENT}
    worst = max(found, key=found.get)
    assert found[worst] <= tolerance, (worst, found[worst])
