"""The text towers of Hugging Face transformers: CLIP's and SigLIP's.

Source of the facts: transformers 5.23, `models/{clip,siglip,siglip2}/{configuration,modeling}_*.py`.
"""

from collections.abc import Iterable

from vitjax.errors import InputError, nearest
from vitjax.models.core.config import TextConfig
from vitjax.weights.families.family import Settings, Shapes
from vitjax.weights.families.transformers.kinds import Fields, activation
from vitjax.weights.families.transformers.tables import clip_blocks
from vitjax.weights.rules.layouts import Rule, drop, linear, norm, same

PREFIX = "text_model."  # of the tower's tensors, but in files of transformers 5 that hold it alone
OLD_EOS = 2  # in files before transformers 4.31, which pool the largest token; that is the vocabulary's last

_BOTH = {"num_hidden_layers": 12}
_CLIP = _BOTH | {
    "hidden_size": 512, "intermediate_size": 2048, "num_attention_heads": 8, "hidden_act": "quick_gelu",
    "layer_norm_eps": 1e-5, "vocab_size": 49408, "max_position_embeddings": 77, "eos_token_id": 49407,
}  # fmt: skip
_SIGLIP = _BOTH | {
    "hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12, "hidden_act": "gelu_pytorch_tanh",
    "layer_norm_eps": 1e-6, "vocab_size": 32000, "max_position_embeddings": 64,
}  # fmt: skip
KINDS: dict[str, Fields] = {"clip_text_model": _CLIP, "siglip_text_model": _SIGLIP, "siglip2_text_model": _SIGLIP}
TOWERS = {kind.removesuffix("_text_model"): kind for kind in KINDS}


def config(config_json: Settings, shapes: Shapes) -> TextConfig:
    """Reads the text tower's config off transformers' settings; the projection is there if its tensor is.

    Raises:
        InputError: a kind of model without a text tower, or a setting that it cannot have here.
    """
    kind = config_json["model_type"]
    if kind in TOWERS:
        # Early files have both sections, and transformers follows the second.
        config_json, kind = config_json.get("text_config_dict") or config_json.get("text_config") or {}, TOWERS[kind]
    if kind not in KINDS:
        known = [*TOWERS, *KINDS]
        raise InputError(f"{kind!r} has no text tower{nearest(str(kind), known)}; known are {', '.join(known)}")
    settings = KINDS[kind] | {key: value for key, value in config_json.items() if value is not None}
    clip = TOWERS["clip"] == kind
    projection = "text_projection.weight" if clip else f"{_prefix(shapes)}head.weight"
    eos = settings["eos_token_id"] if clip else None
    return TextConfig(
        width=settings["hidden_size"],
        depth=settings["num_hidden_layers"],
        heads=settings["num_attention_heads"],
        mlp_width=settings["intermediate_size"],
        activation=activation(settings),
        norm_eps=settings["layer_norm_eps"],
        vocabulary=settings["vocab_size"],
        context=settings["max_position_embeddings"],
        causal=clip,
        eos=settings["vocab_size"] - 1 if eos == OLD_EOS else eos,
        projection=shapes.get(projection, (0,))[0],
        projection_bias=not clip,
    )


def table(config: TextConfig, config_json: Settings, shapes: Shapes) -> list[Rule]:
    """Lists the rules."""
    p = _prefix(shapes)  # what the names of the tower's tensors begin with
    return [
        *same(f"{p}embeddings.token_embedding.weight", "token"),
        *same(f"{p}embeddings.position_embedding.weight", "position"),
        *clip_blocks(p),
        *norm(f"{p}final_layer_norm", "norm"),
        *linear("text_projection", "projection"),
        *linear(f"{p}head", "projection"),
        *drop("vision_model.*", "visual_projection.weight", "logit_scale", "logit_bias"),
        *drop(f"{p}embeddings.position_ids"),
    ]


def _prefix(names: Iterable[str]) -> str:
    return PREFIX if any(name.startswith(PREFIX) for name in names) else ""
