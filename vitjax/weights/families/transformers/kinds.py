"""The kinds of Vision Transformer of Hugging Face transformers: rules and config fields by `model_type`.

Source of the facts: transformers 5.23, `models/*/configuration_*.py` and `modeling_*.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from vitjax.errors import InputError
from vitjax.models.core.config import Rotary, ViTConfig
from vitjax.weights.families.family import Settings, Shapes
from vitjax.weights.families.transformers import tables
from vitjax.weights.rules.layouts import Rule
from vitjax.weights.rules.resize import Resampling

ACTIVATIONS = {  # transformers' name: ours
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "quick_gelu": "quick_gelu",
    "silu": "silu",
    "swish": "silu",
}

Fields = dict[str, Any]


def activation(settings: Settings) -> str:
    """Gives the activation function, by our name."""
    name = settings["hidden_act"]
    if name not in ACTIVATIONS:
        raise InputError(f"hidden_act={name!r} is not supported, only {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]


def _by_token(settings: Settings, tensors: Shapes, p: str) -> Fields:
    """ViT, DeiT and ViT-MAE: the class token, with the pooler of a model that has no classifier."""
    distilled = "distillation_classifier.weight" in tensors
    pooler = tensors.get(f"{p}pooler.dense.weight", (0,))[0]
    if pooler and settings.get("pooler_act", "tanh") != "tanh":
        raise InputError(f"pooler_act={settings['pooler_act']!r} is not supported, only 'tanh'")
    extra = f"{p}embeddings.distillation_token" in tensors
    return {"distilled": distilled, "registers": int(extra and not distilled), "pre_logits": pooler}


def _beit(settings: Settings, tensors: Shapes, p: str) -> Fields:
    each, shared = settings["use_relative_position_bias"], settings["use_shared_relative_position_bias"]
    if each and shared:
        raise InputError("relative positions both shared and of each block are not supported")
    pooled = settings["use_mean_pooling"] and f"{p}pooler.layernorm.weight" in tensors
    return {
        "layer_scale": settings["layer_scale_init_value"] > 0,
        "relative_bias": each or shared,
        "pool": "mean" if pooled else "token",
        "final_norm": "pooled" if pooled else "tokens",
    }


def _dinov2(settings: Settings, tensors: Shapes, p: str) -> Fields:
    hidden, gated = int(settings["hidden_size"] * settings["mlp_ratio"]), settings["use_swiglu_ffn"]
    return {
        "layer_scale": True,
        "registers": settings.get("num_register_tokens", 0),
        "pool": "token+mean" if "classifier.weight" in tensors else "token",
        "gated": gated,
        "mlp_width": (int(hidden * 2 / 3) + 7) // 8 * 8 if gated else hidden,
        "activation": "silu" if gated else activation(settings),
    }


def _dinov3(settings: Settings, tensors: Shapes, p: str) -> Fields:
    for name in ("proj_bias", "mlp_bias"):
        if not settings[name]:
            raise InputError(f"{name}=False is not supported")
    return {
        "layer_scale": True,
        "registers": settings["num_register_tokens"],
        "gated": settings["use_gated_mlp"],
        "rotary": Rotary(temperature=settings["rope_theta"], centred=True, halves=True),
        "qkv_bias": any(settings[name] for name in tables.BIASES),
    }


def _clip(settings: Settings, tensors: Shapes, p: str) -> Fields:
    classifier = "classifier.weight" in tensors  # it reads the mean of the patches as the blocks leave them
    return {
        "pre_norm": True,
        "patch_bias": False,
        "pool": "mean" if classifier else "token",
        "final_norm": "none" if classifier else "pooled",
        "projection": 0 if classifier else tensors.get("visual_projection.weight", (0,))[0],
    }


def _siglip(settings: Settings, tensors: Shapes, p: str) -> Fields:
    attention = settings["vision_use_head"] and "classifier.weight" not in tensors
    return {"class_token": False, "pool": "attention" if attention else "mean"}


PLAIN = Resampling("plain bicubic", "bilinear")


@dataclass(frozen=True)
class Kind:
    """What one `model_type` is: its rule table, how it differs from ViT, and what its settings are unless stated.

    `prefix` is what the names of the image tower's tensors begin with in a model that has more than it.
    """

    rules: Callable[[ViTConfig, Settings, str], list[Rule]]
    fields: Callable[[Settings, Shapes, str], Fields]
    prefix: str
    defaults: Fields = field(default_factory=dict)
    resampling: Resampling = PLAIN


DEFAULTS = {
    "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072,
    "hidden_act": "gelu", "layer_norm_eps": 1e-12, "image_size": 224, "patch_size": 16, "num_channels": 3,
    "qkv_bias": True,
}  # fmt: skip
_BEIT = {
    "use_absolute_position_embeddings": False, "use_relative_position_bias": False,
    "use_shared_relative_position_bias": False, "layer_scale_init_value": 0.1, "use_mean_pooling": True,
}  # fmt: skip
_DINOV2 = {"layer_norm_eps": 1e-6, "mlp_ratio": 4, "use_swiglu_ffn": False}
_DINOV3 = {
    "hidden_size": 384, "intermediate_size": 1536, "num_attention_heads": 6, "layer_norm_eps": 1e-5,
    "rope_theta": 100.0, "query_bias": True, "key_bias": False, "value_bias": True, "proj_bias": True, "mlp_bias": True,
    "use_gated_mlp": False, "num_register_tokens": 0,
}  # fmt: skip
_CLIP = {"hidden_act": "quick_gelu", "layer_norm_eps": 1e-5, "patch_size": 32}
_SIGLIP = {"hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-6, "vision_use_head": True}

KINDS: dict[str, Kind] = {
    "vit": Kind(tables.vit, _by_token, "vit."),
    "deit": Kind(tables.vit, _by_token, "deit."),
    "vit_mae": Kind(tables.vit, _by_token, "vit."),
    "beit": Kind(tables.beit, _beit, "beit.", _BEIT),
    "dinov2": Kind(tables.dino, _dinov2, "dinov2.", {**_DINOV2, "patch_size": 14}),
    "dinov2_with_registers": Kind(
        tables.dino, _dinov2, "dinov2_with_registers.", {**_DINOV2, "num_register_tokens": 4}, Resampling("bicubic")
    ),
    "dinov3_vit": Kind(tables.dino, _dinov3, "dinov3_vit.", _DINOV3),
    "clip_vision_model": Kind(tables.clip, _clip, "vision_model.", _CLIP),
    "siglip_vision_model": Kind(tables.clip, _siglip, "vision_model.", _SIGLIP),
    "siglip2_vision_model": Kind(
        tables.clip, _siglip, "vision_model.", {**_SIGLIP, "num_patches": 256}, Resampling("smooth bilinear")
    ),
}
TOWERS = {name: f"{name}_vision_model" for name in ("clip", "siglip", "siglip2")}
