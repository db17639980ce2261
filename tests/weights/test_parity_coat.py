"""Small random CoaTs of timm through the converter: every activation, the output and its gradient."""

import math
import re
from dataclasses import replace
from itertools import permutations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import vitjax
from converters.referees.coat import reference
from converters.referees.parity import COMPILER, GRADIENT, TOLERANCE, relative_errors
from tests.support.noise import randomise
from vitjax.errors import InputError
from vitjax.models.core.tap_site import Places
from vitjax.models.hierarchical.coat_scales import resized
from vitjax.models.parts.depthwise import ConvPositions
from vitjax.models.parts.factorised import ConvRelative
from vitjax.weights.families.family import port
from vitjax.weights.families.timm.models import TIMM
from vitjax.weights.families.timm.models import config as settings
from vitjax.weights.families.timm.tables.coat_architectures import COAT
from vitjax.weights.parameters import build, shapes, values

pytestmark = pytest.mark.exhaustive  # parity of ViTs, Swin, Twins and PVT is shown by the suite

EXACT = 1e-9
FIRST = "stages.0.blocks.1.resid_post"  # what the first stage gives
SMALL = {
    "img_size": [64, 32],
    "embed_dims": [16, 32, 40, 48],
    "serial_depths": [2, 1, 1, 1],
    "mlp_ratios": [3.0, 2.0, 2.0, 1.5],
    "num_classes": 7,
}
PARALLEL = {"embed_dims": [16, 32, 32, 32], "mlp_ratios": [3.0, 1.5, 1.5, 1.5], "parallel_depth": 2}
MILLIONS = {  # of parameters
    "coat_tiny": 5.50,
    "coat_mini": 10.34,
    "coat_small": 21.69,
    "coat_lite_tiny": 5.72,
    "coat_lite_mini": 11.01,
    "coat_lite_small": 19.84,
    "coat_lite_medium": 44.57,
    "coat_lite_medium_384": 44.57,
}
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


@pytest.mark.representatives("coat_lite_tiny-arguments0-float32")
@pytest.mark.parametrize(
    ("architecture", "arguments", "dtype"),
    [
        ("coat_lite_tiny", {}, np.float32),
        ("coat_tiny", PARALLEL, np.float64),
    ],
)
def test_every_activation(timm, architecture, arguments, dtype):
    theirs, config_json = make(timm, architecture, **arguments)
    model = ported(theirs, config_json)
    found = errors(model, theirs, dtype)
    assert set(found) == {*model.taps(), GRADIENT}
    worst = max(found, key=found.get)
    assert found[worst] <= (TOLERANCE if dtype is np.float32 else EXACT), (worst, found[worst])


@pytest.fixture(scope="module")
def lite(timm):
    """A CoaT-Lite of ours, images for it, and what its first stage gives in timm, in float64."""
    theirs, config_json = make(timm, "coat_lite_tiny", img_size=[32, 64])
    model = ported(theirs, config_json)
    images = np.random.default_rng(1).random((1, *model.config.image_size, 3))
    return model, images, reference(theirs.double(), images, model.config.preprocess).taps[FIRST]


def error(model, images, due):
    """That of what the first stage gives; nothing else is computed."""
    with jax.enable_x64(True):
        model = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), model)
        run = jax.jit(lambda model, images: model(images, FIRST)[FIRST], compiler_options=COMPILER)
        return np.abs(run(model, images) - due).max() / np.abs(due).max()


def without_class_token(k, axis, real=jax.nn.softmax):
    return jnp.pad(real(k[:, 1:], axis=axis), ((0, 0), (1, 0), (0, 0), (0, 0)))


TRAPS = {
    "keys' softmax without the class token": lambda patch: patch.setattr(jax.nn, "softmax", without_class_token),
    "the positions' term scaled as the other": lambda patch: patch.setattr(
        ConvRelative, "__call__", lambda self, v, real=ConvRelative.__call__: real(self, v) * v.shape[-1] ** -0.5
    ),
    "relative positions with a shortcut": lambda patch: patch.setattr(
        ConvRelative, "__call__", lambda self, v, real=ConvRelative.__call__: real(self, v) + v.at[:, 0].set(0)
    ),
    "positions without a shortcut": lambda patch: patch.setattr(
        ConvPositions, "__call__", lambda self, x, real=ConvPositions.__call__: real(self, x) - x.at[:, 0].set(0)
    ),
    "eps of the blocks": lambda patch: {"norm_eps": 1e-5},
    "eps of embedded patches": lambda patch: {"embed_eps": 1e-6},
}


def test_the_first_stage_alone(lite):
    assert error(*lite) <= EXACT


@pytest.mark.representatives(
    "eps of the blocks", "positions without a shortcut", "keys' softmax without the class token"
)
@pytest.mark.parametrize("trap", TRAPS)
def test_a_trap_is_seen(lite, trap, monkeypatch):
    model, *rest = lite
    changes = TRAPS[trap](monkeypatch) or {}
    changed = build(replace(model.config, **changes), values(model))
    assert error(changed, *rest) > 10 * EXACT


def test_scales_are_resized_as_in_torch_and_class_tokens_copied():
    rng, sizes = np.random.default_rng(0), [(8, 16), (4, 8), (2, 4)]
    for old, new in permutations(sizes, 2):
        tokens = rng.random((2, 1 + math.prod(old), 3))
        grid = torch.tensor(tokens[:, 1:]).reshape(2, *old, 3).movedim(3, 1)
        due = torch.nn.functional.interpolate(grid, scale_factor=new[0] / old[0], mode="bilinear").movedim(1, 3)
        with jax.enable_x64(True):
            found = np.asarray(resized(jnp.asarray(tokens), *(Places(size, 1, True) for size in (old, new))))
        np.testing.assert_array_equal(found[:, 0], tokens[:, 0])
        np.testing.assert_allclose(found[:, 1:].reshape(due.shape), due, rtol=0, atol=1e-15)


def test_a_half_and_a_quarter_are_means_of_the_places_in_the_middle():
    grid = np.random.default_rng(0).random((1, 8, 8, 1))
    tokens = np.concatenate([np.zeros((1, 1, 1)), grid.reshape(1, 64, 1)], axis=1)
    cut = lambda by: grid.reshape(1, 8 // by, by, 8 // by, by)
    with jax.enable_x64(True):
        half, quarter = (resized(jnp.asarray(tokens), Places((8, 8), 1), Places((side, side), 1)) for side in (4, 2))
    np.testing.assert_allclose(half[0, 1:, 0], cut(2).mean(axis=(2, 4)).ravel(), rtol=1e-15)
    np.testing.assert_allclose(quarter[0, 1:, 0], cut(4)[:, :, 1:3, :, 1:3].mean(axis=(2, 4)).ravel(), rtol=1e-15)


def file_of(theirs):
    return {name: tensor.numpy().copy() for name, tensor in theirs.state_dict().items()}


@pytest.fixture(scope="module")
def small(timm):
    """The tensors of a CoaT and its config.json."""
    theirs, config_json = make(timm, "coat_tiny", **PARALLEL, img_size=[32, 32])
    return file_of(theirs), config_json


def test_what_a_file_repeats_may_be_missing_and_must_agree(small):
    tensors, config_json = small
    config, whole = port(TIMM, tensors, config_json)
    repeated = [name for name in tensors if re.search(r"_blocks.*\.(cpe|crpe)\.|\.mlp[34]\.", name)]
    assert len(repeated) == 5 * (2 + 6) + 2 * (3 * 6 + 2 * 4)
    alone = port(TIMM, {name: tensor for name, tensor in tensors.items() if name not in repeated}, config_json)
    assert alone[0] == config and all(np.array_equal(array, whole[name]) for name, array in alone[1].items())
    for name in (
        repeated[0],
        "parallel_blocks.1.mlp4.fc2.bias",
        "parallel_blocks.0.factoratt_crpe3.crpe.conv_list.2.bias",
    ):
        with pytest.raises(InputError, match=rf"^tensors that should repeat others: {re.escape(name)} is not "):
            port(TIMM, {**tensors, name: tensors[name] + 1}, config_json)
    with pytest.raises(InputError, match=r"^unknown tensors: serial_blocks1\.2\.cpe\.proj\.weight"):
        port(TIMM, {**tensors, "serial_blocks1.2.cpe.proj.weight": tensors["cpe1.proj.weight"]}, config_json)


@pytest.mark.parametrize("architecture", ["coat_lite_medium_384x384_f9129688", "coat_tiny_473c2a20"])
def test_the_authors_files(timm, small, architecture, tmp_path):
    """They have norms that nothing uses, no config, and all in a `model`."""
    lite = "lite" in architecture
    tensors = file_of(make(timm, "coat_lite_tiny", img_size=[32, 32])[0]) if lite else dict(small[0])
    for scale in (1, 2, 3):
        width = len(tensors[f"cls_token{scale}"].ravel())
        for part in ("weight", "bias"):
            tensors.setdefault(f"norm{scale}.{part}", np.ones(width, np.float32))
    torch.save(
        {"model": {name: torch.tensor(tensor) for name, tensor in tensors.items()}}, tmp_path / f"{architecture}.pth"
    )
    model = vitjax.load(tmp_path / f"{architecture}.pth")
    assert model.config.image_size == ((384, 384) if lite else (224, 224)) and model.config.preprocess.crop == 0.875
    assert model.config.parallel == (0 if lite else 2) and model.card.architecture == architecture
    args = {**(SMALL if lite else SMALL | PARALLEL), "img_size": list(model.config.image_size)}
    config_json = {
        "architecture": "coat_lite_tiny" if lite else "coat_tiny",
        "model_args": args,
        "pretrained_cfg": PREPROCESS,
    }
    config, arrays = port(TIMM, tensors, config_json)
    assert replace(config, preprocess=model.config.preprocess) == model.config
    assert all(np.array_equal(array, arrays[name]) for name, array in values(model).items())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"global_pool": "avg"}, "global_pool='avg' is not supported for this model, only 'token'"),
        ({"qkv_bias": False}, "qkv_bias=False is not supported"),
        ({"parallel_depth": -1}, "parallel_depth=-1 in config.json is not a whole number"),
        ({"img_size": [48, 64]}, "image height 48 is not divisible by 32"),
        ({"crpe_window": 3}, "unknown model_args.crpe_window"),
    ],
)
def test_what_cannot_be_is_said(small, changes, words):
    tensors, config_json = small
    arguments = {**config_json["model_args"], **changes}
    with pytest.raises(InputError, match=re.escape(words)) as error:
        port(TIMM, tensors, {**config_json, "model_args": arguments})
    assert "\n" not in str(error.value)


def test_a_file_without_a_head(small):
    tensors, config_json = small
    headless = {**config_json, "num_classes": 0, "model_args": {**config_json["model_args"], "num_classes": 0}}
    config, arrays = port(TIMM, tensors, headless)
    assert config.classes == 0 and "head.kernel" not in arrays


@pytest.mark.exhaustive
def test_every_name_of_timm_in_its_size(timm):
    assert {*timm.list_models(module="coat")} == {*COAT} == {*MILLIONS}
    for name, millions in MILLIONS.items():
        pretrained = timm.models.get_pretrained_cfg(f"{name}.in1k")
        found = settings({"architecture": name, "pretrained_cfg": pretrained.to_dict()}, {})
        assert round(sum(map(math.prod, shapes(found).values())) / 1e6, 2) == millions, name
        squashed = name.endswith("_384")
        assert found.image_size == ((384, 384) if squashed else (224, 224))
        assert (found.preprocess.mode, found.preprocess.crop) == (("squash", 1.0) if squashed else ("crop", 0.9))
