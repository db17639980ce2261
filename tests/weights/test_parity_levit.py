"""Small random LeViTs of timm through the converter: every activation, the output and its gradient."""

import jax
import numpy as np
import pytest

from converters.referees.levit import reference
from converters.referees.parity import GRADIENT, TOLERANCE, relative_errors
from tests.support.noise import randomise
from vitjax.weights import parameters
from vitjax.weights.families.family import config_of, port
from vitjax.weights.families.timm.models import TIMM
from vitjax.weights.rules.convert import convert

EXACT = 1e-9
SMALL = {
    "img_size": [96, 64], "embed_dim": [32, 48, 64], "key_dim": 8, "depth": [2, 1, 1], "num_heads": [2, 3, 5],
    "num_classes": 7,
}  # fmt: skip
PREPROCESS = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}


def make(timm, architecture, arguments=None, seed=0):
    """A model of timm with every parameter and statistic drawn at random, and the config.json it would have."""
    import torch

    arguments = {**SMALL, **(arguments or {})}
    model = timm.create_model(architecture, **arguments).eval()
    randomise(model, r"bn\.weight$", seed)
    generator = torch.Generator().manual_seed(seed)
    for name, buffer in model.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(generator=generator)
        elif name.endswith("running_var"):
            buffer.copy_(torch.randn(buffer.shape, generator=generator).exp())
    return model, {"architecture": architecture, "model_args": arguments, "pretrained_cfg": PREPROCESS}


def arrays_of(model):
    """The tensors that a file of the model holds."""
    return {name: tensor.numpy() for name, tensor in model.state_dict().items() if tensor.is_floating_point()}


def exact(tensors, config_json):
    """The model with arrays in float64: folded weights are not rounded."""
    config = config_of(TIMM, tensors, config_json)
    found = TIMM.tensors(tensors, config_json)
    rules = TIMM.table(config, config_json, {})
    arrays = convert(found, rules, parameters.shapes(config), parameters.stacks(config), np.float64)
    return parameters.build(config, arrays)


def errors(model, theirs, dtype):
    """Those of every tap, the output and the gradient, on images of noise."""
    images = np.random.default_rng(1).random((2, *model.config.image_size, 3)).astype(dtype)
    return relative_errors(model, reference(theirs, images, model.config.preprocess))


def check(found, model, tolerance):
    assert set(found) == {*model.taps(), GRADIENT}
    worst = max(found, key=found.get)
    assert found[worst] <= tolerance, (worst, found[worst])


def test_every_activation(timm):
    theirs, config_json = make(timm, "levit_128s")
    model = parameters.build(*port(TIMM, arrays_of(theirs), config_json))
    check(errors(model, theirs, np.float32), model, TOLERANCE)


@pytest.mark.parametrize(
    ("architecture", "arguments"),
    [("levit_128s", {}), ("levit_conv_256d", {"depth": [1, 1, 2]}), ("levit_384_s8", {"img_size": [40, 56]})],
)
def test_every_activation_exactly(timm, architecture, arguments):
    theirs, config_json = make(timm, architecture, arguments)
    with jax.enable_x64(True):
        model = exact(arrays_of(theirs), config_json)
        check(errors(model, theirs.double(), np.float64), model, EXACT)
