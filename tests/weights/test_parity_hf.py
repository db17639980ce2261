"""Small random models of transformers, saved by its own `save_pretrained`: every activation must be transformers'."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from converters.referees.parity import GRADIENT, TOLERANCE, output_errors, relative_errors
from converters.referees.transformers_vit import reference
from tests.support.noise import randomise
from vitjax.errors import InputError
from vitjax.weights.load import load
from vitjax.weights.parameters import values

PROCESSOR = {
    "image_mean": [0.48, 0.45, 0.4], "image_std": [0.26, 0.27, 0.28], "resample": 3,
    "do_center_crop": True, "size": {"shortest_edge": 36}, "crop_size": {"height": 32, "width": 32},
}  # fmt: skip
SIZES = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3, "image_size": 32, "patch_size": 8}
WIDE = {**SIZES, "intermediate_size": 40}
ONE = {"num_hidden_layers": 1}  # for what a sibling shows at two
TEXT = {"hidden_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8, "vocab_size": 9}
TOWERS = {"vision_config": WIDE, "text_config": TEXT}
LOW_TOWERS = {"vision_config": {**WIDE, **ONE}, "text_config": TEXT}
DECODER = {
    "decoder_hidden_size": 16, "decoder_num_hidden_layers": 1, "decoder_num_attention_heads": 2,
    "decoder_intermediate_size": 8,
}  # fmt: skip
BLOCKS = {"use_relative_position_bias": True}
VARIANTS = {  # what it shows: class of the model, of its config, its settings
    "ViT": ("ViTForImageClassification", "ViTConfig", {**WIDE, "num_labels": 5}),
    "ViT with pooler, no qkv bias": ("ViTModel", "ViTConfig", {**WIDE, **ONE, "qkv_bias": False}),
    "DeiT": ("DeiTForImageClassification", "DeiTConfig", WIDE),
    "DeiT with teacher": ("DeiTForImageClassificationWithTeacher", "DeiTConfig", {**WIDE, **ONE}),
    "MAE with decoder": ("ViTMAEForPreTraining", "ViTMAEConfig", {**WIDE, **ONE, **DECODER}),
    "DINOv2": ("Dinov2Model", "Dinov2Config", {**SIZES, "mlp_ratio": 2}),
    "DINOv2 classifier": ("Dinov2ForImageClassification", "Dinov2Config", {**SIZES, **ONE, "mlp_ratio": 2}),
    "DINOv2 giant": ("Dinov2Model", "Dinov2Config", {**SIZES, **ONE, "use_swiglu_ffn": True}),
    "DINOv2 with registers": ("Dinov2WithRegistersModel", "Dinov2WithRegistersConfig", {**SIZES, "mlp_ratio": 2}),
    "DINOv3": ("DINOv3ViTModel", "DINOv3ViTConfig", {**WIDE, "num_register_tokens": 2}),
    "DINOv3 gated": ("DINOv3ViTModel", "DINOv3ViTConfig", {**WIDE, **ONE, "use_gated_mlp": True, "hidden_act": "silu"}),
    "CLIP": ("CLIPModel", "CLIPConfig", {**TOWERS, "projection_dim": 7}),
    "CLIP's image tower": ("CLIPVisionModel", "CLIPVisionConfig", WIDE),
    "CLIP's image tower with projection": ("CLIPVisionModelWithProjection", "CLIPVisionConfig", {**WIDE, **ONE}),
    "CLIP classifier": ("CLIPForImageClassification", "CLIPConfig", LOW_TOWERS),
    "SigLIP": ("SiglipModel", "SiglipConfig", TOWERS),
    "SigLIP classifier": ("SiglipForImageClassification", "SiglipConfig", LOW_TOWERS),
    "SigLIP 2": ("Siglip2VisionModel", "Siglip2VisionConfig", {**WIDE, **ONE, "num_patches": 16}),
    "BEiT": ("BeitForImageClassification", "BeitConfig", {**WIDE, **BLOCKS}),
    "BEiT before tuning, shared table": (
        "BeitForMaskedImageModeling", "BeitConfig",
        {**WIDE, "use_shared_relative_position_bias": True, "use_mask_token": True, "vocab_size": 11},
    ),
    "BEiT by class token": (
        "BeitModel", "BeitConfig", {**WIDE, **ONE, "use_mean_pooling": False, "use_absolute_position_embeddings": True},
    ),
}  # fmt: skip
RESIZED = ("ViT with pooler, no qkv bias", "DINOv2", "DINOv2 with registers", "DINOv3", "SigLIP", "SigLIP 2", "BEiT")
RENAMED = ("ViT", "DINOv2 giant", "DINOv3 gated", "BEiT", "BEiT before tuning, shared table")  # in transformers 5


@pytest.fixture(scope="module")
def transformers(timm):
    """The transformers library; a skip where it is absent. It imports torchvision, so timm's fixture comes first."""
    library = pytest.importorskip("transformers")
    library.logging.set_verbosity_error()
    library.logging.disable_progress_bar()
    return library


def make(transformers, folder, variant, seed=0, dtype="float32"):
    """A model of transformers with every parameter drawn at random, saved with its image processor's settings."""
    import torch

    model_class, config_class, settings = VARIANTS[variant]
    settings = {key: value for key, value in settings.items() if "num_patches" not in settings or key != "image_size"}
    model = getattr(transformers, model_class)(getattr(transformers, config_class)(**settings)).eval()
    randomise(model, r"(norm\w*\.weight|lambda_?\d)$", seed)
    model.to(getattr(torch, dtype)).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(PROCESSOR))
    return model.float()


def check(model, theirs, errors_of=relative_errors):
    """Asserts agreement with a model of transformers on images of noise; returns the errors."""
    images = np.random.default_rng(1).random((2, *model.config.image_size, 3), np.float32)
    errors = errors_of(model, reference(theirs, images, model.config.preprocess))
    worst = max(errors, key=errors.get)
    assert errors[worst] <= TOLERANCE, (worst, errors[worst])
    return errors


@pytest.mark.representatives("ViT", "DINOv2 with registers", "BEiT", "CLIP", "SigLIP", "DINOv3")
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_activation(transformers, tmp_path, variant):
    theirs = make(transformers, tmp_path, variant)
    model = load(tmp_path, cache=False, image_size=(40, 24) if variant in RESIZED else None)
    assert set(check(model, theirs)) == {*model.taps(), GRADIENT}


def test_half_precision_source(transformers, tmp_path):
    theirs = make(transformers, tmp_path, "CLIP", dtype="float16")
    assert {tensor.dtype.name for tensor in load_file(tmp_path / "model.safetensors").values()} == {"float16"}
    check(load(tmp_path, cache=False), theirs, output_errors)


@pytest.mark.parametrize("variant", RENAMED)
def test_the_names_of_transformers_5(transformers, tmp_path, variant):
    theirs = make(transformers, tmp_path, variant)
    ours = values(load(tmp_path, cache=False))
    old = load_file(tmp_path / "model.safetensors").keys()
    tensors = {name: tensor.numpy() for name, tensor in theirs.state_dict().items()}
    assert len(tensors.keys() - old) > 10
    save_file(tensors, tmp_path / "model.safetensors")
    for name, array in values(load(tmp_path, cache=False)).items():
        np.testing.assert_array_equal(array, ours[name], err_msg=name)


def test_how_pictures_are_prepared(transformers, tmp_path):
    make(transformers, tmp_path, "CLIP")
    preprocess = load(tmp_path, cache=False).config.preprocess
    assert preprocess.mean == tuple(PROCESSOR["image_mean"]) and preprocess.std == tuple(PROCESSOR["image_std"])
    assert (preprocess.crop, preprocess.interpolation) == (32 / 36, "bicubic")
    transformers.ViTImageProcessor(size=256).save_pretrained(tmp_path)
    preprocess = load(tmp_path, cache=False).config.preprocess
    assert (preprocess.crop, preprocess.interpolation, preprocess.mean) == (1.0, "bilinear", (0.5,) * 3)


CONFIG, PICTURES = "config.json", "preprocessor_config.json"


@pytest.mark.parametrize(
    ("variant", "file", "changes", "said"),
    [
        ("ViT", CONFIG, {"model_type": "vitt"}, r"'vitt' \(did you mean vit"),
        ("ViT", CONFIG, {"model_type": None}, "neither an architecture of timm nor a model_type"),
        ("ViT", CONFIG, {"hidden_act": "relu"}, "hidden_act='relu' is not supported"),
        ("ViT", CONFIG, {"hidden_size": "wide"}, "width is 'wide'"),
        ("ViT", CONFIG, {"image_size": 40}, r"position_embeddings is \(1, 17, 24\) instead"),
        ("ViT", CONFIG, {"num_hidden_layers": 1}, "unknown tensors: vit.encoder.layer.1"),
        ("ViT", CONFIG, {"num_channels": 1}, "not one number for each of 1 input channels"),
        ("ViT", PICTURES, {"image_std": 0}, "image_std=0"),
        ("ViT", PICTURES, {"resample": 9}, "resample=9"),
        ("ViT with pooler, no qkv bias", CONFIG, {"pooler_act": "relu"}, "pooler_act='relu'"),
        ("DINOv3", CONFIG, {"mlp_bias": False}, "mlp_bias=False is not supported"),
        ("DINOv3", CONFIG, {"key_bias": True}, "missing tensors: layer.0.attention.k_proj.bias"),
    ],
)
def test_what_is_refused(transformers, tmp_path, variant, file, changes, said):
    make(transformers, tmp_path, variant)
    settings = json.loads((tmp_path / file).read_text()) | changes
    (tmp_path / file).write_text(json.dumps({key: value for key, value in settings.items() if value is not None}))
    with pytest.raises(InputError, match=said) as caught:
        load(tmp_path, cache=False)
    assert "\n" not in str(caught.value)


def test_pictures_need_a_mean(transformers, tmp_path):
    make(transformers, tmp_path, "ViT")
    (tmp_path / PICTURES).unlink()
    with pytest.raises(InputError, match=r"there is no preprocessor_config\.json beside config\.json"):
        load(tmp_path, cache=False)
