"""Small random MLP-Mixers and ResMLPs of timm through the converter: every activation, the output and its gradient."""

import math
import re
from dataclasses import replace

import jax
import numpy as np
import pytest
import torch

import vitjax
from converters.referees.mixer import reference
from converters.referees.parity import COMPILER, GRADIENT, TOLERANCE, relative_errors
from tests.support.noise import randomise
from vitjax.errors import InputError
from vitjax.weights.families.family import port
from vitjax.weights.families.timm.models import TIMM
from vitjax.weights.families.timm.models import config as settings
from vitjax.weights.families.timm.tables.mixer_architectures import MIXER as MIXERS
from vitjax.weights.families.timm.tables.mixer_architectures import MIXER_UNSUPPORTED
from vitjax.weights.families.timm.tables.mixer_architectures import RESMLP as RESMLPS
from vitjax.weights.parameters import build, shapes, values

EXACT = 1e-9
SMALL = {"img_size": [48, 64], "patch_size": 16, "embed_dim": 28, "num_blocks": 2, "num_classes": 7}
MIXER = {**SMALL, "mlp_ratio": [0.75, 2.0]}
RESMLP = {**SMALL, "mlp_ratio": 1.5}
PREPROCESS = {"mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0], "interpolation": "bilinear", "crop_pct": 0.875}


def make(timm, architecture, arguments):
    """A model of timm with every parameter drawn at random, and the config.json it would have.

    timm makes architectures by their names in their own sizes alone, so it is its class that is asked for others.
    """
    modules = timm.models.mlp_mixer
    kind = {"block_layer": modules.ResBlock, "norm_layer": modules.Affine} if architecture.startswith("resmlp") else {}
    theirs = modules.MlpMixer(**arguments, **kind).eval()
    randomise(theirs, r"norm\w*\.(weight|alpha)$|ls\d$")
    return theirs, {"architecture": architecture, "model_args": arguments, "pretrained_cfg": PREPROCESS}


def tensors_of(theirs):
    return {name: tensor.numpy() for name, tensor in theirs.state_dict().items()}


@pytest.mark.parametrize(
    ("architecture", "arguments", "dtype"),
    [
        ("mixer_b16_224", MIXER, np.float32),
        ("mixer_b16_224", MIXER, np.float64),
        ("resmlp_12_224", RESMLP, np.float64),
    ],
)
def test_every_activation(timm, architecture, arguments, dtype):
    theirs, config_json = make(timm, architecture, arguments)
    model = build(*port(TIMM, tensors_of(theirs), config_json))
    images = np.random.default_rng(1).random((2, *model.config.image_size, 3)).astype(dtype)
    theirs = theirs.to(getattr(torch, np.dtype(dtype).name))
    found = relative_errors(model, reference(theirs, images, model.config.preprocess))
    assert set(found) == {*model.taps(), GRADIENT}
    worst = max(found, key=found.get)
    assert found[worst] <= (TOLERANCE if dtype is np.float32 else EXACT), (worst, found[worst])


AUTHORS = {
    "stem.": "patch_embed.",
    "linear_tokens.": "attn.",
    "mlp_channels.": "mlp.",
    "ls1": "gamma_1",
    "ls2": "gamma_2",
}


def authors(tensors):
    """The tensors of a ResMLP as its authors call and shape them."""
    found = {}
    for name, tensor in tensors.items():
        for ours, theirs in AUTHORS.items():
            name = name.replace(ours, theirs)
        found[name] = tensor.ravel() if name.endswith((".alpha", ".beta")) else tensor
    return found


def test_files_of_resmlps_authors(timm, tmp_path):
    theirs, config_json = make(timm, "resmlp_12_224", {**RESMLP, "img_size": [48, 48]})
    tensors = tensors_of(theirs)
    config, arrays = port(TIMM, tensors, config_json)
    again = port(TIMM, authors(tensors), config_json)
    assert again[0] == config and all(np.array_equal(array, arrays[name]) for name, array in again[1].items())
    path = tmp_path / "resmlp_12_dist.pth"
    torch.save({name: torch.tensor(tensor) for name, tensor in authors(tensors).items()}, path)
    model = vitjax.load(path)
    assert model.config == replace(config, preprocess=model.config.preprocess)
    assert model.config.preprocess.mean[0] == 0.485 and model.config.preprocess.crop == 0.875
    assert all(np.array_equal(array, arrays[name]) for name, array in values(model).items())
    with pytest.raises(InputError, match="this model works at its own image size alone"):
        vitjax.load(path, image_size=64)


def test_another_eps_is_seen(timm):
    theirs, config_json = make(timm, "mixer_b16_224", MIXER)
    model = build(*port(TIMM, tensors_of(theirs), config_json))
    images = np.random.default_rng(1).random((1, *model.config.image_size, 3))
    tap = "blocks.0.tokens.pre"
    due = reference(theirs.double(), images, model.config.preprocess).taps[tap]

    def error(model):
        with jax.enable_x64(True):
            model = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), model)
            run = jax.jit(lambda model, images: model(images, tap)[tap], compiler_options=COMPILER)
            return np.abs(run(model, images) - due).max() / np.abs(due).max()

    assert error(model) <= EXACT
    assert error(build(replace(model.config, norm_eps=1e-5), values(model))) > 10 * EXACT


@pytest.mark.parametrize(
    ("architecture", "changes", "words"),
    [
        ("mixer_b16_224", {"img_size": [64, 64]}, "an image of 64x64 pixels, 16 patches, but blocks.0.mlp_tokens.fc1"),
        (
            "resmlp_12_224",
            {"img_size": [64, 64]},
            "blocks.0.linear_tokens.weight is for 12: this model works at its own",
        ),
        ("mixer_b16_224", {"global_pool": "token"}, "global_pool='token' is not supported for this model, only 'avg'"),
        ("mixer_b16_224", {"num_blocks": 0}, "num_blocks=0 in config.json is not a whole number above 0"),
        ("mixer_b16_224", {"stem_norm": True}, "unknown model_args.stem_norm"),
    ],
)
def test_what_cannot_be_is_said(timm, architecture, changes, words):
    arguments = MIXER if architecture.startswith("mixer") else RESMLP
    theirs, config_json = make(timm, architecture, arguments)
    with pytest.raises(InputError, match=re.escape(words)) as error:
        port(TIMM, tensors_of(theirs), {**config_json, "model_args": {**arguments, **changes}})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", MIXER_UNSUPPORTED)
def test_relatives_are_named(name):
    with pytest.raises(InputError, match=f"^{name} is not supported: it is an? (MLP-Mixer whose|gMLP, whose)"):
        settings({"architecture": name, "pretrained_cfg": PREPROCESS}, {})


def test_every_name_of_timm_in_its_size(timm):
    assert {*timm.list_models(module="mlp_mixer")} == {*MIXERS, *RESMLPS, *MIXER_UNSUPPORTED}
    for name in (*MIXERS, *RESMLPS):
        pretrained = timm.models.get_pretrained_cfg(name)
        found = settings({"architecture": name, "pretrained_cfg": pretrained.to_dict()}, {})
        with torch.device("meta"):
            theirs = timm.create_model(name)
        assert sum(map(math.prod, shapes(found).values())) == sum(one.numel() for one in theirs.parameters()), name
        assert (found.image_size, found.preprocess.crop) == ((224, 224), 0.875)


@pytest.mark.parametrize(
    ("name", "mean", "interpolation", "classes"),
    [
        ("mixer_b16_224.goog_in21k", (0.5, 0.5, 0.5), "bicubic", 21843),
        ("mixer_b16_224.miil_in21k_ft_in1k", (0.0, 0.0, 0.0), "bilinear", 1000),
        ("resmlp_big_24_224.fb_in22k_ft_in1k", (0.485, 0.456, 0.406), "bicubic", 1000),
    ],
)
def test_preprocessing_of_each_publisher(timm, name, mean, interpolation, classes):
    pretrained = timm.models.get_pretrained_cfg(name)
    found = settings({"architecture": name, "pretrained_cfg": pretrained.to_dict(), "num_classes": classes}, {})
    assert (found.preprocess.mean, found.preprocess.interpolation, found.classes) == (mean, interpolation, classes)
    assert found.preprocess.std == ((1.0, 1.0, 1.0) if "miil" in name else tuple(pretrained.std))
