"""Tensors, `config.json` and `preprocessor_config.json` of Hugging Face transformers in, config and arrays out."""

from collections.abc import Mapping
from math import isqrt
from typing import Any

import numpy as np

from vitjax.errors import InputError, nearest
from vitjax.models.core.config import ViTConfig, whole
from vitjax.weights.families.transformers.kinds import DEFAULTS, KINDS, TOWERS, Fields, Settings, activation
from vitjax.weights.families.transformers.processing import preprocess
from vitjax.weights.formats.tensors import shapes_of
from vitjax.weights.rules.convert import convert, shapes
from vitjax.weights.rules.layouts import Shape
from vitjax.weights.rules.prefix_tokens import fold, unfolded
from vitjax.weights.rules.resize import Resampling


def port(tensors: Mapping[str, np.ndarray], config_json: Settings) -> tuple[ViTConfig, dict[str, np.ndarray]]:
    """Turns a checkpoint of transformers into what `vitjax.weights.rules.convert.build` takes.

    Args:
        tensors: {transformers' name: tensor}, of the image tower alone or with what else the file holds.
        config_json: the checkpoint's `config.json`, with its `preprocessor_config.json` as "preprocessor".

    Returns:
        The config and its float32 arrays, for the checkpoint's own image size.

    Raises:
        InputError: a kind of model, a setting or a tensor that does not fit, by name.
    """
    tensor_shapes = shapes_of(tensors)
    config, settings = config_from_hf(config_json, tensor_shapes), _settings(config_json)
    covered = 0 if config.rotary else config.prefix if settings["model_type"] == "deit" else int(config.class_token)
    table = KINDS[settings["model_type"]].rules(config, settings, _prefix(settings, tensor_shapes))
    return config, fold(convert(tensors, table, unfolded(shapes(config), config, covered)), config)


def config_from_hf(config_json: Settings, tensor_shapes: Mapping[str, Shape]) -> ViTConfig:
    """Reads the model's config off transformers' settings; heads and poolers are there if their tensors are.

    Raises:
        InputError: an unknown kind of model, a setting that it cannot have here, or no mean and std.
    """
    settings = _settings(config_json)
    patch = _pair(settings["patch_size"])
    size = _pair(settings["image_size"])
    if "num_patches" in settings:  # SigLIP 2 for any size states the grid of its positions
        size = tuple(isqrt(settings["num_patches"]) * side for side in patch)
    image_size = whole(size, patch)
    prepared = preprocess(config_json.get("preprocessor"), settings["model_type"], size, settings["num_channels"])
    fields = {
        "image_size": image_size,
        "patch_size": patch,
        "width": settings["hidden_size"],
        "depth": settings["num_hidden_layers"],
        "heads": settings["num_attention_heads"],
        "mlp_width": settings["intermediate_size"],
        "classes": tensor_shapes.get("classifier.weight", tensor_shapes.get("cls_classifier.weight", (0,)))[0],
        "activation": activation(settings),
        "norm_eps": settings["layer_norm_eps"],
        "qkv_bias": settings["qkv_bias"],
        "preprocess": prepared.of(image_size),
    }
    more = KINDS[settings["model_type"]].fields(settings, tensor_shapes, _prefix(settings, tensor_shapes))
    return ViTConfig(**fields | more)


def resampling(config_json: Settings) -> Resampling:
    """How transformers resamples this kind of model's positions."""
    return KINDS[_settings(config_json)["model_type"]].resampling


def architecture(config_json: Settings) -> str:
    """The name of the class that wrote the checkpoint, else its kind."""
    return str((config_json.get("architectures") or [config_json["model_type"]])[0])


def _settings(config_json: Settings) -> Fields:
    """The image tower's settings, what is not stated filled in as transformers does."""
    kind = config_json.get("model_type")
    if kind in TOWERS:
        # Early files have both sections, and transformers follows the second.
        config_json = config_json.get("vision_config_dict") or config_json.get("vision_config") or {}
        kind = TOWERS[kind]
    if kind not in KINDS:
        known = [*KINDS, *TOWERS]
        raise InputError(f"unknown model_type {kind!r}{nearest(str(kind), known)}; known are {', '.join(known)}")
    stated = {key: value for key, value in config_json.items() if value is not None}
    return {**DEFAULTS, **KINDS[kind].defaults, **stated, "model_type": kind}


def _prefix(settings: Settings, tensors: Mapping[str, Any]) -> str:
    prefix = KINDS[settings["model_type"]].prefix
    return prefix if any(name.startswith(prefix) for name in tensors) else ""


def _pair(size: int | list[int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (size[0], size[1])
