"""Checkpoints of Hugging Face transformers: their image towers, by `config.json` and the image processor's file."""

from collections.abc import Mapping
from math import isqrt
from typing import Any

import numpy as np

from vitjax.errors import InputError, nearest
from vitjax.models.core.config import ViTConfig, whole
from vitjax.models.core.preprocess import Preprocess
from vitjax.models.registry import Config
from vitjax.weights.families.family import Beside, Family, Settings, Shapes, Tower
from vitjax.weights.families.transformers import text_towers
from vitjax.weights.families.transformers.hierarchical.levit_kind import LEVIT
from vitjax.weights.families.transformers.hierarchical.pvt_kinds import PVT, PVT_V2
from vitjax.weights.families.transformers.hierarchical.staged import Staged
from vitjax.weights.families.transformers.hierarchical.swin_kind import SWIN, SWIN_V2
from vitjax.weights.families.transformers.kinds import DEFAULTS, KINDS, TOWERS, Fields, activation
from vitjax.weights.families.transformers.processing import NESTED, PROCESSOR, SECTION, preprocess
from vitjax.weights.rules.layouts import Rule

STAGED: dict[str, Staged] = {  # by `model_type`, as KINDS
    "swin": SWIN,
    "swinv2": SWIN_V2,
    "levit": LEVIT,
    "pvt": PVT,
    "pvt_v2": PVT_V2,
}
_KNOWN = KINDS | STAGED
BESIDE = Beside("preprocessor", {NESTED: SECTION, PROCESSOR: ""})


def config(config_json: Settings, shapes: Shapes) -> Config:
    """Reads the model's config off transformers' settings; heads and poolers are there if their tensors are.

    Raises:
        InputError: an unknown kind of model, a setting that it cannot have here, or no mean and std.
    """
    settings = _settings(config_json)
    if kind := STAGED.get(settings["model_type"]):
        prepared = _prepared(config_json, settings, _pair(settings["image_size"]))
        return kind.config(settings, shapes, _prefix(settings, shapes), prepared)
    patch = _pair(settings["patch_size"])
    size = _pair(settings["image_size"])
    if "num_patches" in settings:  # SigLIP 2 for any size states the grid of its positions
        size = tuple(isqrt(settings["num_patches"]) * side for side in patch)
    image_size = whole(size, patch)
    prepared = _prepared(config_json, settings, size)
    fields = {
        "image_size": image_size,
        "patch_size": patch,
        "width": settings["hidden_size"],
        "depth": settings["num_hidden_layers"],
        "heads": settings["num_attention_heads"],
        "mlp_width": settings["intermediate_size"],
        "classes": shapes.get("classifier.weight", shapes.get("cls_classifier.weight", (0,)))[0],
        "activation": activation(settings),
        "norm_eps": settings["layer_norm_eps"],
        "qkv_bias": settings["qkv_bias"],
        "preprocess": prepared.of(image_size),
    }
    more = KINDS[settings["model_type"]].fields(settings, shapes, _prefix(settings, shapes))
    return ViTConfig(**fields | more)


def _prepared(config_json: Settings, settings: Settings, size: tuple[int, int]) -> Preprocess:
    base = str(config_json.get("_name_or_path") or "")
    about = config_json.get(BESIDE.key), settings["model_type"], size, settings["num_channels"]
    return preprocess(*about, base if base.count("/") == 1 and base[0] not in "./~" else "")


def table(config: Config, config_json: Settings, shapes: Shapes) -> list[Rule]:
    """Lists the rules of this kind of model."""
    settings = _settings(config_json)
    return _KNOWN[settings["model_type"]].rules(config, settings, _prefix(settings, shapes))


def tensors(tensors: Mapping[str, np.ndarray], config_json: Settings) -> Mapping[str, np.ndarray]:
    """Gives the tensors as the rules of this kind of model know them."""
    kind = STAGED.get(config_json.get("model_type"))
    return kind.tensors(tensors) if kind else tensors


def covered(config: Config, config_json: Settings, shapes: Shapes) -> int | None:
    """Counts the tokens before the patches that have a position; None for a model that is no plain ViT."""
    if not isinstance(config, ViTConfig):
        return None
    deit = _settings(config_json)["model_type"] == "deit"
    return 0 if config.rotary else config.prefix if deit else int(config.class_token)


def architecture(config_json: Settings) -> str:
    """Names the class that wrote the checkpoint, else its kind."""
    return str((config_json.get("architectures") or [config_json["model_type"]])[0])


def _settings(config_json: Settings) -> Fields:
    """The image tower's settings, what is not stated filled in as transformers does."""
    kind = config_json.get("model_type")
    if kind in TOWERS:
        # Early files have both sections, and transformers follows the second.
        config_json = config_json.get("vision_config_dict") or config_json.get("vision_config") or {}
        kind = TOWERS[kind]
    if kind not in _KNOWN:
        known = [*_KNOWN, *TOWERS]
        raise InputError(f"unknown model_type {kind!r}{nearest(str(kind), known)}; known are {', '.join(known)}")
    stated = {key: value for key, value in config_json.items() if value is not None}
    return {**DEFAULTS, **_KNOWN[kind].defaults, **stated, "model_type": kind}


def _prefix(settings: Settings, tensors: Mapping[str, Any]) -> str:
    prefix = _KNOWN[settings["model_type"]].prefix
    return prefix if any(name.startswith(prefix) for name in tensors) else ""


def _pair(size: int | list[int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (size[0], size[1])


TRANSFORMERS = Family(
    name="transformers",
    match=lambda config_json: "model_type" in config_json,
    config=config,
    table=table,
    covered=covered,
    tensors=tensors,
    resampling=lambda config_json: _KNOWN[_settings(config_json)["model_type"]].resampling,
    beside=BESIDE,
    marks={
        "embeddings.patch_embeddings.projection.weight": (
            *("vit", "deit", "beit", "dinov2", "dinov2_with_registers"),
            *("swin", "swinv2"),
        ),
        "embeddings.patch_embeddings.weight": ("dinov3_vit",),
        "embeddings.patch_embedding.weight": ("vision_model",),
        "patch_embeddings.embedding_layer_1.convolution.weight": ("levit",),
        "encoder.patch_embeddings.0.projection.weight": ("pvt",),
        "encoder.layers.0.patch_embedding.proj.weight": ("pvt_v2",),
    },
    architecture=architecture,
    referee="transformers",
    text=Tower(text_towers.config, text_towers.table),
)
