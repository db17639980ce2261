"""A model that says in vitjax's words what it is: the record that stands beside the embedded one."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

import vitjax
from tests.support import noise, small
from vitjax import InputError
from vitjax.models.core.class_names import ClassNames
from vitjax.weights import parameters
from vitjax.weights.families import own
from vitjax.weights.save import to_timm

NAMES = ClassNames(
    tuple(f"thing {i}" for i in range(small.CONFIG.classes)), tuple(f"n{i:08}" for i in range(small.CONFIG.classes))
)


@pytest.fixture
def folder(tmp_path):
    model = noise.model(small.CONFIG)
    save_file(to_timm(parameters.values(model), model.config, "float32"), tmp_path / "model.safetensors")
    stated = own.record("vit_of_noise", model.config, NAMES, "mit")
    (tmp_path / "config.json").write_text(json.dumps(stated))
    return tmp_path, model, stated


def test_all_that_it_says_is_read(folder):
    path, model, _ = folder
    loaded = vitjax.load(path, cache=False)
    assert loaded.config == model.config and loaded.class_names == NAMES
    assert (loaded.card.architecture, loaded.card.licence) == ("vit_of_noise", "mit")
    theirs = parameters.values(loaded)
    for name, array in parameters.values(model).items():
        np.testing.assert_allclose(theirs[name], array, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("change", [{"widht": 3}, {"preprocess": 5}, {"depth": 3}, {"heads": 5}])
def test_a_record_that_cannot_be_is_refused(folder, change):
    path, _, stated = folder
    (path / "config.json").write_text(json.dumps(stated | {"config": stated["config"] | change}))
    with pytest.raises(InputError):
        vitjax.load(path, cache=False)


def test_the_embedded_model_is_what_it_says():
    model = vitjax.load("demo")
    assert model.card.architecture.startswith("vit_demo") and len(model.class_names.ids) == model.config.classes == 200
    assert model.class_names.number("goldfish") == 0
