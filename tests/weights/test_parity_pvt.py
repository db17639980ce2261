"""Small random PVTs of timm, transformers and their authors through the converter: every activation, and gradients."""

import json

import numpy as np
import pytest

from converters.referees import transformers_pvt
from converters.referees.parity import GRADIENT, relative_errors
from converters.referees.pvt import reference
from tests.support.noise import randomise
from tests.weights.test_parity_hf import transformers  # noqa: F401
from vitjax.weights.families.family import port
from vitjax.weights.families.timm.models import TIMM
from vitjax.weights.load import load
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


HF = {
    "image_size": 64, "hidden_sizes": [16, 24, 30], "num_attention_heads": [2, 3, 5], "mlp_ratios": [4, 3, 2],
    "depths": [2, 1, 2], "num_encoder_blocks": 3, "num_labels": 7, "strides": [4, 2, 2],
}  # fmt: skip
KINDS = {
    "Pvt": {"patch_sizes": [4, 2, 2], "sequence_reduction_ratios": [5, 2, 1]},
    "PvtV2": {"patch_sizes": [7, 3, 3], "sr_ratios": [5, 2, 1]},
    "PvtV2, linear": {"patch_sizes": [7, 3, 3], "sr_ratios": [5, 2, 1], "linear_attention": True},
}


@pytest.fixture(scope="module", params=KINDS)
def saved(transformers, request, tmp_path_factory):  # noqa: F811
    """A model of transformers with every parameter drawn at random, and the folder that it is saved in."""
    kind, settings = request.param.partition(",")[0], HF | KINDS[request.param]
    made = getattr(transformers, f"{kind}Config")(**settings)
    model = getattr(transformers, f"{kind}ForImageClassification")(made).eval()
    randomise(model, r"layer_norm\w*\.weight$")
    folder = tmp_path_factory.mktemp("saved")
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps({"size": {"height": 64, "width": 64}}))
    return model, folder


def test_every_activation_of_transformers(saved):
    theirs, folder = saved
    model = load(folder, cache=False)
    assert model.config.preprocess.interpolation == "bicubic" and model.config.preprocess.mean[0] == 0.485
    found = errors(model, theirs, np.float64, transformers_pvt.reference)
    assert set(found) == {*model.taps(), GRADIENT}
    worst = max(found, key=found.get)
    assert found[worst] <= EXACT, (worst, found[worst])
