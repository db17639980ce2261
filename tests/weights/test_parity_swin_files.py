"""Swin's files of other sources: Hugging Face transformers, older ones, and those as first published."""

import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import save_file

from converters import port_swin, port_timm
from converters.referees.parity import GRADIENT, TOLERANCE, relative_errors
from converters.referees.transformers_swin import reference
from tests.support.noise import randomise
from tests.weights.test_parity_swin import ODD, PREPROCESS, V1, V2, errors, make
from tests.weights.test_parity_swin import tensors as tensors_of
from vitjax.errors import InputError
from vitjax.models.parts.positions import log_distances
from vitjax.weights.families.family import config_of, port
from vitjax.weights.families.timm.models import TIMM
from vitjax.weights.families.timm.tables.swin_architectures import SWIN, SWIN_UNSUPPORTED, SWIN_V2
from vitjax.weights.families.transformers.towers import TRANSFORMERS
from vitjax.weights.load import load
from vitjax.weights.parameters import build, fitted, shapes, values
from vitjax.weights.rules.resize import resize_distances

EXACT = 1e-9
IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
PARAMETERS = {  # millions
    "swin_tiny_patch4_window7_224": 28.29,
    "swin_small_patch4_window7_224": 49.61,
    "swin_base_patch4_window7_224": 87.77,
    "swin_base_patch4_window12_384": 87.90,
    "swin_large_patch4_window7_224": 196.53,
    "swin_large_patch4_window12_384": 196.74,
    "swin_s3_tiny_224": 28.33,
    "swin_s3_small_224": 49.74,
    "swin_s3_base_224": 71.13,
    "swinv2_tiny_window8_256": 28.35,
    "swinv2_tiny_window16_256": 28.35,
    "swinv2_small_window8_256": 49.73,
    "swinv2_small_window16_256": 49.73,
    "swinv2_base_window8_256": 87.92,
    "swinv2_base_window16_256": 87.92,
    "swinv2_base_window12_192": 87.92,
    "swinv2_large_window12_192": 196.74,
    "swinv2_base_window12to16_192to256": 87.92,
    "swinv2_large_window12to16_192to256": 196.74,
    "swinv2_base_window12to24_192to384": 87.92,
    "swinv2_large_window12to24_192to384": 196.74,
}
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


@pytest.mark.representatives("swinv2-changes1")
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


@pytest.mark.parametrize("kind", ["swin", "swinv2"])
def test_what_transformers_saves_is_what_it_has(transformers, tmp_path, kind):
    theirs = transformers_model(kind)
    theirs.save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings_of(theirs)["preprocessor"]))
    tensors = {name: tensor.numpy() for name, tensor in theirs.state_dict().items()}
    config, arrays = port(TRANSFORMERS, tensors, settings_of(theirs))
    model = load(tmp_path, cache=False)
    assert model.config == config and model.card.architecture == type(theirs).__name__
    saved = values(model)
    assert all(np.array_equal(saved[name], array) for name, array in arrays.items())
    if kind == "swin":
        with pytest.raises(InputError, match="stage 1 has 7x7 tokens, fewer than a window of 8"):
            config_of(TRANSFORMERS, tensors, {**settings_of(theirs), "image_size": 56, "window_size": 8})
    else:
        with pytest.raises(InputError, match="windows of stage 0 by its rows alone"):
            config_of(TRANSFORMERS, tensors, {**settings_of(theirs), "image_size": [72, 16]})
    with pytest.raises(InputError, match="use_absolute_embeddings=True is not supported"):
        config_of(TRANSFORMERS, tensors, {**settings_of(theirs), "use_absolute_embeddings": True})


def published(theirs, masks=True):
    """A model of timm's by the names of the file that it comes from, with what is kept beside the weights there."""
    import torch

    tensors = {}
    for name, tensor in theirs.state_dict().items():
        name = re.sub(r"layers\.(\d+)\.downsample", lambda found: f"layers.{int(found[1]) - 1}.downsample", name)
        tensors[name.replace("head.fc.", "head.")] = tensor
    for name, module in theirs.named_modules():
        for buffer in ("relative_position_index", "relative_coords_table", "k_bias", *(["attn_mask"] * masks)):
            if getattr(module, buffer, None) is not None:
                tensors[f"{name}.{buffer}"] = getattr(module, buffer)
    assert (
        "layers.0.downsample.reduction.weight" in tensors
        and "layers.0.blocks.0.attn.relative_position_index" in tensors
    )
    return {"model": tensors, "epoch": torch.tensor(3)}


PUBLISHED = {  # file: timm's architecture and arguments, windows that distances are shares of
    "swin_tiny_patch4_window7_56": (V1, {"img_size": 56, "window_size": 7}),
    "swinv2_tiny_patch4_window5to7_40to56_ft": (
        V2, {"img_size": 56, "window_size": 7, "pretrained_window_sizes": [5, 5]}
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_file_as_published_and_the_same_from_old_timm(timm, tmp_path, name):
    import torch

    architecture, arguments = PUBLISHED[name]
    theirs, config_json = make(timm, architecture, {**ODD, **arguments, "num_classes": 4})
    torch.save(published(theirs), tmp_path / f"{name}.pth")
    model = load(tmp_path / f"{name}.pth", cache=False)
    expected, arrays = port(TIMM, tensors_of(theirs), config_json)
    assert (model.card.architecture, model.card.converter[:4]) == (name, "swin")
    assert model.config == replace(expected, preprocess=model.config.preprocess)
    assert (model.config.preprocess.crop, model.config.preprocess.mean[0]) == (0.875, 0.485)
    own = values(model)
    assert all(np.array_equal(own[array], value) for array, value in arrays.items())
    (tmp_path / "config.json").write_text(json.dumps(config_json))
    again = values(load(tmp_path / f"{name}.pth", cache=False))  # timm's name of it, with timm's own preprocessing
    assert all(np.array_equal(again[array], value) for array, value in arrays.items())


def test_a_file_that_does_not_say_its_size(timm, tmp_path):
    import torch

    theirs, _ = make(timm, V1, {**ODD, "img_size": 56})
    torch.save(published(theirs), tmp_path / "mine.pth")
    assert load(tmp_path / "mine.pth", cache=False).config.image_size == (56, 56)  # by its masks
    torch.save(published(theirs, masks=False), tmp_path / "mine.pth")
    with pytest.raises(InputError, match="nothing says the image size of this Swin"):
        load(tmp_path / "mine.pth", cache=False)
    torch.save(published(theirs), tmp_path / "swin_tiny_patch4_window7_224.pth")
    with pytest.raises(InputError, match="says 224 pixels, the masks in the file are those of 56"):
        load(tmp_path / "swin_tiny_patch4_window7_224.pth", cache=False)
    theirs, _ = make(timm, V2, {**ODD, "img_size": 56})
    torch.save(published(theirs), tmp_path / "mine.pth")
    with pytest.raises(InputError, match="does not say with which windows this Swin V2 was trained before"):
        load(tmp_path / "mine.pth", cache=False)


def folder_of(theirs, config_json, folder):
    save_file(tensors_of(theirs), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config_json))
    return folder


@pytest.mark.exhaustive
@pytest.mark.filterwarnings("ignore::UserWarning:timm")  # its interpolation
def test_another_image_size_keeps_windows_or_has_them_grow(timm, tmp_path):
    theirs, config_json = make(timm, V1, {**ODD, "img_size": [56, 56], "window_size": 7})
    folder = folder_of(theirs, config_json, tmp_path)
    kept, _ = make(timm, V1, {**ODD, "img_size": [40, 48], "window_size": 7})
    from timm.models.swin_transformer import checkpoint_filter_fn

    kept.load_state_dict(checkpoint_filter_fn(theirs.state_dict(), kept))
    model = load(folder, image_size=(40, 48), cache=False)
    assert [model.config.window(stage) for stage in (0, 1)] == [(7, 7), (5, 6)]
    own = port(
        TIMM, tensors_of(kept), config_json | {"model_args": config_json["model_args"] | {"img_size": [40, 48]}}
    )[1]
    assert all(np.allclose(value, own[name], atol=1e-6) for name, value in values(model).items())
    theirs.set_input_size((112, 80))
    first = load(folder, cache=False)
    grown = fitted(first, first.config.scaled((112, 80)))
    assert [grown.config.window(stage) for stage in (0, 1)] == [(14, 10), (14, 10)]
    found = errors(grown, theirs)
    assert max(found.values()) < 1e-5, max(found, key=found.get)  # tables in float32


@pytest.mark.filterwarnings("ignore::UserWarning:timm")
def test_a_table_of_another_window(timm, tmp_path):
    small, _ = make(timm, V1, {**ODD, "img_size": 56, "window_size": 4})
    theirs, config_json = make(timm, V1, {**ODD, "img_size": 56, "window_size": 7})
    from timm.models.swin_transformer import checkpoint_filter_fn

    theirs.load_state_dict(checkpoint_filter_fn(small.state_dict(), theirs))
    model = load(folder_of(small, config_json, tmp_path), cache=False)
    own = port(TIMM, tensors_of(theirs), config_json)[1]
    assert all(np.allclose(value, own[name], atol=1e-6) for name, value in values(model).items())
    odd = {name: value[:-1] if name.endswith("table") else value for name, value in tensors_of(small).items()}
    with pytest.raises(InputError, match="has 48 distances, which no square window has, nor one of 7x7"):
        port(TIMM, odd, config_json)


def test_swin_v2_of_the_other_kind_and_wrong_windows(timm):
    other = {"architecture": "swinv2_cr_tiny_224", "pretrained_cfg": PREPROCESS}
    with pytest.raises(InputError, match="swinv2_cr_tiny_224 is not supported: it is timm's own form of Swin V2"):
        config_of(TIMM, {}, other)
    for wrong, said in (
        ({"window_size": 0}, "window_size=0 in config.json is not a whole number above 0"),
        ({"window_size": [7, 7, 7]}, "give one of at least 1 for each of 4 stages"),
        ({"act_layer": "quick_gelu"}, "act_layer='quick_gelu' is not supported of Swin"),
        ({"global_pool": "token"}, "global_pool='token' is not supported of Swin"),
        ({"always_partition": True}, "always_partition=True is not supported"),
    ):
        with pytest.raises(InputError, match=said):
            config_of(TIMM, {}, {"architecture": V1, "model_args": wrong, "pretrained_cfg": PREPROCESS})


@pytest.mark.exhaustive
def test_every_architecture_has_its_parameters():
    counted = {}
    for name, millions in PARAMETERS.items():
        config = config_of(TIMM, {}, {"architecture": name, "pretrained_cfg": PREPROCESS})
        counted[name] = (sum(map(math.prod, shapes(config).values())) / 1e6, millions)
    assert all(abs(found - millions) < 0.02 for found, millions in counted.values()), counted
    assert set(PARAMETERS) == {*SWIN, *SWIN_V2}


def test_the_names_are_timms(timm):
    names = {name for name in timm.list_models("swin*")}
    assert names == {*SWIN, *SWIN_V2, *SWIN_UNSUPPORTED}


@pytest.mark.exhaustive
def test_the_scripts_prove_both(timm, tmp_path, capsys):
    import torch

    theirs, config_json = make(timm, V2, {**ODD, "depths": [1, 1], "img_size": 56, "window_size": 7})
    name = "swinv2_tiny_patch4_window7_56.pth"
    torch.save(published(theirs), tmp_path / name)
    assert port_swin.main([str(tmp_path / name)]) == 0
    assert "none of" in capsys.readouterr().out
    folder = tmp_path / "timm"
    folder.mkdir()
    assert port_timm.main([str(folder_of(theirs, config_json, folder)), "--out", str(tmp_path / "out")]) == 0
    assert load(tmp_path / "out").config == load(folder, cache=False).config


@pytest.mark.filterwarnings("ignore::UserWarning:torch")  # of how timm indexes
@pytest.mark.filterwarnings("ignore::UserWarning:timm")
@pytest.mark.parametrize("new", [(7, 4), (5, 7), (4, 4)])
def test_a_table_of_which_one_side_changes_is_resampled_as_in_timm(timm, new):
    import torch
    from timm.layers import resize_rel_pos_bias_table

    table = np.random.default_rng(0).standard_normal((169, 3)).astype(np.float32)
    shape = ((2 * new[0] - 1) * (2 * new[1] - 1), 3)
    theirs = resize_rel_pos_bias_table(torch.tensor(table), new_window_size=new, new_bias_shape=shape)
    np.testing.assert_allclose(resize_distances(table, (7, 7), new), theirs.numpy(), atol=1e-5)


def test_a_window_with_as_many_distances_as_a_square_is_the_model_s(timm):
    arguments = {"img_size": [32, 224], "depths": [1], "num_heads": [2], "window_size": [2, 14]}
    theirs, config_json = make(timm, "swin_tiny_patch4_window7_224", arguments)
    tensors = {name: tensor.numpy() for name, tensor in theirs.state_dict().items()}
    model = build(*port(TIMM, tensors, config_json))
    assert errors(model, theirs.double())["logits"] <= TOLERANCE
