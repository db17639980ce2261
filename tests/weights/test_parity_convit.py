"""Small random ConViTs of timm through the converter: every activation, the output and its gradient."""

from dataclasses import replace

import numpy as np
import pytest

import vitjax
from converters.referees.convit import reference
from converters.referees.parity import GRADIENT, TOLERANCE, relative_errors
from tests.support.noise import randomise
from tests.support.traps import output_error
from vitjax.errors import InputError
from vitjax.models.parts import positions
from vitjax.weights import parameters
from vitjax.weights.families.family import config_of, port
from vitjax.weights.families.timm.models import TIMM
from vitjax.weights.families.timm.tables.convit_architectures import CONVIT
from vitjax.weights.parameters import build
from vitjax.weights.rules.resize import Resampling, resized

pytestmark = pytest.mark.exhaustive  # parity of ViTs, Swin, Twins and PVT is shown by the suite

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


@pytest.mark.representatives("class token")
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


@pytest.fixture(scope="module")
def small(timm):
    """A model of timm, ours of its tensors, and what timm's computes in float64."""
    theirs, config_json = make(timm, TWO)
    model, images = ported(theirs, config_json), np.random.default_rng(1).random((1, 48, 48, 3))
    return model, reference(theirs.double(), images, model.config.preprocess)


# What a key's place from the query may be taken for.
TRAPS = {
    "from the key to the query": lambda found: found * np.array([-1, -1, 1]),
    "row before column": lambda found: found[..., [1, 0, 2]],
    "distance instead of its square": lambda found: np.concatenate([found[..., :2], found[..., 2:] ** 0.5], axis=-1),
}


@pytest.mark.parametrize("trap", TRAPS)
def test_where_a_key_stands_matters(small, monkeypatch, trap):
    model, due = small
    right = positions.offsets
    monkeypatch.setattr(positions, "offsets", lambda grid: TRAPS[trap](right(grid)))
    assert output_error(model, due) > 1e-6


def test_without_a_trap_and_with_another_eps(small):
    model, due = small
    assert output_error(model, due) <= EXACT
    other = build(replace(model.config, norm_eps=1e-5), parameters.values(model))
    assert output_error(other, due) > EXACT


def test_offsets_by_hand():
    found = positions.offsets((2, 3))
    assert found[0, 5].tolist() == [2, 1, 5]  # from the first place to the last: two columns right, one row down
    assert found[5, 0].tolist() == [-2, -1, 5] and found[1, 1].tolist() == [0, 0, 0]


def test_the_class_token_joins_after_the_local_blocks(small):
    sites = small[0].taps()
    assert [sites[f"blocks.{i}.resid_pre"].prefix for i in range(2)] == [0, 1]
    assert sites["blocks.0.attn.probs"].shape == (3, 9, 9) and sites["blocks.1.attn.probs"].shape == (3, 10, 10)
    assert not sites["blocks.0.mlp.hidden"].class_token and sites["norm"].class_token
    with pytest.raises(InputError, match="no class token"):
        vitjax.visualize(small[0], "blocks.0.mlp.hidden:0", steps=1, tokens="class")


@pytest.mark.parametrize(("name", "millions"), [("tiny", 5.71), ("small", 27.78), ("base", 86.54)])
def test_every_variant_by_name(name, millions):
    config = config_of(TIMM, {}, {"architecture": f"convit_{name}.fb_in1k", "pretrained_cfg": PREPROCESS})
    assert sum(map(np.prod, parameters.shapes(config).values())) / 1e6 == pytest.approx(millions, abs=0.005)
    assert (config.local, config.depth, config.head_width, config.preprocess.crop) == (10, 12, 48, 0.875)


def test_names_are_timms(timm):
    assert {*CONVIT} == {*timm.list_models("convit_*")}


def test_what_cannot_be_is_said(small, tmp_path):
    model, _ = small
    other = replace(model.config, image_size=(64, 64))
    with pytest.raises(InputError, match="its own image size alone: it was trained on a grid of 3x3 places"):
        resized(parameters.values(model), *map(parameters.grid_arrays, (model.config, other)), Resampling())
    with pytest.raises(InputError, match="square, not 3x4: give an image as high as it is wide"):
        replace(model.config, image_size=(48, 64))
    with pytest.raises(InputError, match="local is 2: of 2 blocks at least the first is local, and the last is not"):
        replace(model.config, local=2)
    with pytest.raises(InputError, match="attention knows each by its position; use seen=1"):
        vitjax.visualize(model, "blocks.1.mlp.hidden:0", steps=1, views=1, seen=0.5)
    with pytest.raises(InputError, match=r"unknown model_args\.hybrid_backbone"):
        arguments = {"architecture": "convit_tiny", "model_args": {"hybrid_backbone": 1}, "pretrained_cfg": PREPROCESS}
        config_of(TIMM, {}, arguments)


def test_an_old_file_with_its_table_of_places(timm):
    theirs, config_json = make(timm, TWO)
    tensors = {name: tensor.numpy() for name, tensor in theirs.state_dict().items()}
    tensors["blocks.0.attn.rel_indices"] = np.zeros((1, 9, 9, 3), np.float32)
    assert "local.attn.gate.gate" in port(TIMM, tensors, config_json)[1]
    del tensors["blocks.0.attn.gating_param"]
    with pytest.raises(InputError, match=r"missing tensors: blocks\.0\.attn\.gating_param"):
        port(TIMM, tensors, config_json)
