"""Writes a model as timm keeps its own, `model.safetensors` and `config.json`, which `load` reads back."""

import json
import math
import os
from collections.abc import Mapping
from typing import Any

import ml_dtypes  # noqa: F401, teaches numpy the name bfloat16
import numpy as np
from safetensors.numpy import save

from vitjax.errors import InputError, nearest
from vitjax.files import write_files
from vitjax.models.core.class_names import ClassNames
from vitjax.models.core.config import ViTConfig
from vitjax.models.vit import ViT
from vitjax.weights import parameters
from vitjax.weights.families.timm.arguments import CROP_MODES, POOLS
from vitjax.weights.families.timm.models import config as config_from_timm
from vitjax.weights.families.timm.plain import table
from vitjax.weights.families.timm.plain_architectures import ARCHITECTURES
from vitjax.weights.formats.names import CONFIG, WEIGHTS
from vitjax.weights.rules.convert import unconvert
from vitjax.weights.rules.prefix_tokens import unfold

DTYPES = ("float16", "bfloat16", "float32")


def export_timm(model: ViT, folder: str | os.PathLike[str], dtype: str = "float16", licence: str | None = None) -> None:
    """Writes a model as timm keeps its own on the hub, both files or none.

    Args:
        model: any ViT; sizes that no architecture of timm has go into `model_args`.
        folder: made if it is not there; `model.safetensors` and `config.json` in it are replaced.
        dtype: of the tensors, "float16", "bfloat16" or "float32".
        licence: of the weights, e.g. "apache-2.0"; default the one on the model's card.

    Raises:
        InputError: an unknown dtype, weights too large for it, a model that timm's arguments cannot describe, or a
            folder that cannot be written.
    """
    if dtype not in DTYPES:
        raise InputError(f"unknown dtype {dtype!r}{nearest(dtype, DTYPES)}; give one of {', '.join(DTYPES)}")
    if licence is None:
        licence = model.card.licence if model.card else ""
    tensors = to_timm(parameters.values(model), model.config, dtype)
    config_json = timm_config(model.config, licence) | _labels(model.class_names)
    if config_from_timm(config_json, {name: tensor.shape for name, tensor in tensors.items()}) != model.config:
        raise InputError(f"timm has no arguments for this model: {model.config}")
    weights = save(tensors, metadata={"architecture": config_json["architecture"]})
    write_files(folder, {WEIGHTS: weights, CONFIG: (json.dumps(config_json, indent=2) + "\n").encode()})


def to_timm(arrays: Mapping[str, np.ndarray], config: ViTConfig, dtype: str) -> dict[str, np.ndarray]:
    """Gives the model's arrays as timm's tensors, by the very rules that read them.

    The class token, distillation token and registers come with positions of zero, as their sums were kept.

    Raises:
        InputError: weights beyond the range of `dtype`.
    """
    tensors = unconvert(unfold(arrays, config), table(config), parameters.stacks(config))
    with np.errstate(over="ignore"):
        cast = {name: np.ascontiguousarray(tensor.astype(dtype)) for name, tensor in tensors.items()}
    beyond = [name for name, tensor in cast.items() if not np.isfinite(tensor.astype(np.float32)).all()]
    if beyond:
        raise InputError(f"weights that are not finite as {dtype}: {', '.join(beyond[:3])}")
    return cast


def timm_config(config: ViTConfig, licence: str) -> dict[str, Any]:
    """Writes the `config.json` of a model: timm's closest architecture, and how the model differs from it."""
    args = _arguments(config)
    differences = {
        name: {key: value for key, value in args.items() if value != row[key]}
        for name, row in ARCHITECTURES.items()
        if row["mlp_layer"] == args["mlp_layer"]  # no name for it can stand in model_args
    }
    name = min(differences, key=lambda name: len(differences[name]))
    preprocess, modes = config.preprocess, {ours: theirs for theirs, ours in CROP_MODES.items()}
    return {
        "architecture": name,
        "num_classes": config.classes,
        "num_features": config.width,
        "global_pool": args["global_pool"],
        "model_args": differences[name] | ({} if config.channels == 3 else {"in_chans": config.channels}),
        "pretrained_cfg": {
            "input_size": [config.channels, *(preprocess.size or config.image_size)],
            "fixed_input_size": True,
            "interpolation": preprocess.interpolation,
            "crop_pct": preprocess.crop,
            "crop_mode": modes.get(preprocess.mode, preprocess.mode),
            "mean": preprocess.mean,
            "std": preprocess.std,
            "num_classes": config.classes,
            "first_conv": "patch_embed.proj",
            "classifier": ["head", "head_dist"] if config.distilled else "head",
            "license": licence,
        },
    }


def _labels(names: ClassNames) -> dict[str, Any]:
    """Gives what timm's `config.json` says of the classes: ids with descriptions where there are any, else names."""
    if not names.ids:
        return {"label_names": list(names)} if names else {}
    return {"label_names": list(names.ids), "label_descriptions": dict(zip(names.ids, names, strict=True))}


def _arguments(config: ViTConfig) -> dict[str, Any]:
    """Puts a config in the words of timm's `VisionTransformer`, the inverse of `plain_config`."""
    pool = {ours: theirs for theirs, ours in POOLS.items()}[config.pool]
    after_pool, customary = config.final_norm == "pooled", pool == "avg"
    inner = config.mlp_width * (1 + config.gated)
    ratio = inner / config.width
    if int(config.width * ratio) < inner:  # timm cuts off what rounding left
        ratio = math.nextafter(ratio, math.inf)
    return {
        "img_size": _side(config.preprocess.size or config.image_size),
        "patch_size": _side(config.patch_size),
        "embed_dim": config.width,
        "depth": config.depth,
        "num_heads": config.heads,
        "mlp_ratio": ratio,
        "num_classes": config.classes,
        "global_pool": pool,
        "class_token": config.class_token,
        "distilled": config.distilled,
        "no_embed_class": False,
        "reg_tokens": config.registers,
        "pre_norm": config.pre_norm,
        "final_norm": config.final_norm != "none",
        "fc_norm": None if after_pool == customary or config.final_norm == "none" else after_pool,
        "pool_include_prefix": config.pool_prefix,
        "init_values": 1e-5 if config.layer_scale else None,
        "qkv_bias": config.qkv_bias,
        "qk_norm": config.qk_norm,
        "scale_attn_norm": config.attn_norm,
        "scale_mlp_norm": config.mlp_norm,
        "mlp_layer": "swiglu" if config.gated else "mlp",
        "act_layer": config.activation,
        "norm_eps": config.norm_eps,
    }


def _side(sides: tuple[int, int]) -> int | list[int]:
    return sides[0] if sides[0] == sides[1] else list(sides)
