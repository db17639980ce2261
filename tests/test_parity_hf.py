"""Small random models of transformers, saved by its own `save_pretrained`: every activation must be transformers'."""

import json
import re

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from converters.hf_reference import reference
from converters.parity import GRADIENT, TOLERANCE, output_errors, relative_errors
from vitjax.errors import InputError
from vitjax.weights.load import load

PROCESSOR = {
    "image_mean": [0.48, 0.45, 0.4], "image_std": [0.26, 0.27, 0.28], "resample": 3,
    "do_center_crop": True, "size": {"shortest_edge": 36}, "crop_size": {"height": 32, "width": 32},
}  # fmt: skip
SIZES = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3, "image_size": 32, "patch_size": 8}
WIDE = {**SIZES, "intermediate_size": 40}
TEXT = {"hidden_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8, "vocab_size": 9}
TOWERS = {"vision_config": WIDE, "text_config": TEXT}
DECODER = {
    "decoder_hidden_size": 16, "decoder_num_hidden_layers": 1, "decoder_num_attention_heads": 2,
    "decoder_intermediate_size": 8,
}  # fmt: skip
BLOCKS = {"use_relative_position_bias": True}
VARIANTS = {  # what it shows: class of the model, of its config, its settings
    "ViT": ("ViTForImageClassification", "ViTConfig", {**WIDE, "num_labels": 5}),
    "ViT with pooler, no qkv bias": ("ViTModel", "ViTConfig", {**WIDE, "qkv_bias": False}),
    "DeiT": ("DeiTForImageClassification", "DeiTConfig", WIDE),
    "DeiT with teacher": ("DeiTForImageClassificationWithTeacher", "DeiTConfig", WIDE),
    "MAE with decoder": ("ViTMAEForPreTraining", "ViTMAEConfig", {**WIDE, **DECODER}),
    "DINOv2": ("Dinov2Model", "Dinov2Config", {**SIZES, "mlp_ratio": 2}),
    "DINOv2 classifier": ("Dinov2ForImageClassification", "Dinov2Config", {**SIZES, "mlp_ratio": 2}),
    "DINOv2 giant": ("Dinov2Model", "Dinov2Config", {**SIZES, "use_swiglu_ffn": True}),
    "DINOv2 with registers": ("Dinov2WithRegistersModel", "Dinov2WithRegistersConfig", {**SIZES, "mlp_ratio": 2}),
    "DINOv3": ("DINOv3ViTModel", "DINOv3ViTConfig", {**WIDE, "num_register_tokens": 2}),
    "DINOv3 gated": ("DINOv3ViTModel", "DINOv3ViTConfig", {**WIDE, "use_gated_mlp": True, "hidden_act": "silu"}),
    "CLIP": ("CLIPModel", "CLIPConfig", {**TOWERS, "projection_dim": 7}),
    "CLIP's image tower": ("CLIPVisionModel", "CLIPVisionConfig", WIDE),
    "CLIP's image tower with projection": ("CLIPVisionModelWithProjection", "CLIPVisionConfig", WIDE),
    "CLIP classifier": ("CLIPForImageClassification", "CLIPConfig", TOWERS),
    "SigLIP": ("SiglipModel", "SiglipConfig", TOWERS),
    "SigLIP classifier": ("SiglipForImageClassification", "SiglipConfig", TOWERS),
    "SigLIP 2": ("Siglip2VisionModel", "Siglip2VisionConfig", {**WIDE, "num_patches": 16}),
    "BEiT": ("BeitForImageClassification", "BeitConfig", {**WIDE, **BLOCKS}),
    "BEiT before tuning, shared table": (
        "BeitForMaskedImageModeling", "BeitConfig",
        {**WIDE, "use_shared_relative_position_bias": True, "use_mask_token": True, "vocab_size": 11},
    ),
    "BEiT by class token": (
        "BeitModel", "BeitConfig", {**WIDE, "use_mean_pooling": False, "use_absolute_position_embeddings": True},
    ),
}  # fmt: skip
IN_MEMORY = ("ViT", "DINOv2 giant", "DINOv3", "BEiT")  # those whose names changed in transformers 5


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
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if re.search(r"(norm\w*\.weight|lambda_?\d)$", name):
            noise = 1 + 0.3 * noise
        elif name.endswith("weight"):
            noise = 1.5 * noise / parameter[0].numel() ** 0.5
        parameter.data = 0.5 * noise
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


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_activation(transformers, tmp_path, variant):
    theirs = make(transformers, tmp_path, variant)
    model = load(tmp_path, cache=False)
    assert set(check(model, theirs)) == {*model.taps(), GRADIENT}
