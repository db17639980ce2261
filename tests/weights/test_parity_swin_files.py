"""Swin's files of other sources: Hugging Face transformers, older ones, and those as first published."""

import numpy as np
import pytest

from converters.referees.parity import GRADIENT, relative_errors
from converters.referees.transformers_swin import reference
from tests.support.noise import randomise
from vitjax.models.parts.positions import log_distances
from vitjax.weights.families.family import port
from vitjax.weights.families.transformers.towers import TRANSFORMERS
from vitjax.weights.parameters import build

EXACT = 1e-9
IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
SMALL = {"image_size": (72, 64), "embed_dim": 16, "depths": [2, 2], "num_heads": [1, 2], "window_size": 7}


def settings_of(theirs):
    return {**theirs.config.to_dict(), "preprocessor": {**IMAGENET, "size": {"height": 72, "width": 64}}}


def transformers_model(kind, **changes):
    """A small random model of transformers, with a head."""
    import transformers

    config, model = {
        "swin": (transformers.SwinConfig, transformers.SwinForImageClassification),
        "swinv2": (transformers.Swinv2Config, transformers.Swinv2ForImageClassification),
    }[kind]
    theirs = model(config(**SMALL, num_labels=5, **changes)).eval()
    randomise(theirs, r"(norm\w*|layernorm_\w+)\.weight$")
    for module in theirs.modules():
        if hasattr(module, "relative_coords_table"):
            module.logit_scale.data[:] = 2 + module.logit_scale
            table = log_distances(module.window_size, int(module.pretrained_window_size[0]))
            module.relative_coords_table = theirs.classifier.weight.new_tensor(table).reshape(
                module.relative_coords_table.shape
            )
    return theirs


@pytest.fixture(scope="module")
def transformers(timm):  # which it imports, too
    return pytest.importorskip("transformers")


@pytest.mark.parametrize(
    ("kind", "changes"),
    [("swin", {"layer_norm_eps": 1e-4}), ("swinv2", {"pretrained_window_sizes": [5, 0], "layer_norm_eps": 1e-4})],
)
def test_every_activation_of_transformers(transformers, kind, changes):
    theirs = transformers_model(kind, **changes)
    settings = settings_of(theirs)
    tensors = {name: tensor.numpy() for name, tensor in theirs.state_dict().items()}
    config, arrays = port(TRANSFORMERS, tensors, settings)
    model = build(config, arrays)
    images = np.random.default_rng(1).random((2, 72, 64, 3))
    found = relative_errors(model, reference(theirs.double(), images, config.preprocess))
    assert set(found) == {*model.taps(), GRADIENT} and max(found.values()) <= EXACT, max(found, key=found.get)
