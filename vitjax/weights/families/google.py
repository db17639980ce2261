"""Arrays of Google's `.npz` files in, config and the model's arrays out: ViT as first published, and AugReg.

Everything about the model stands in the arrays' shapes, heads too: kernels are [in, head, channel]. What does not is
how pictures were prepared: mean and std 0.5, resized to 8/7 of the model's size before the crop. GELU is the exact
one, as timm and transformers run the same weights; Google's own code approximates it by tanh, which changes logits by
3e-4 of the largest. Source of the facts: google-research/vision_transformer, `vit_jax/models_vit.py`, and timm 1.0.31,
`_load_weights` in `models/vision_transformer.py`.
"""

from collections.abc import Mapping
from dataclasses import replace
from math import isqrt
from typing import Any

import numpy as np

from vitjax.errors import InputError
from vitjax.models.core.config import Preprocess, ViTConfig
from vitjax.weights.formats.tensors import shapes_of
from vitjax.weights.rules.channels import per_channel
from vitjax.weights.rules.convert import convert, shapes
from vitjax.weights.rules.layouts import Layout, Rule, Shape, parted, same
from vitjax.weights.rules.prefix_tokens import fold, unfolded
from vitjax.weights.rules.resize import Resampling

KEY = "npz"  # the one setting of files that come without a config: their name
PREPROCESS = Preprocess(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), crop=0.875, interpolation="bilinear")

_BLOCK = "Transformer/encoderblock_{i}"
_ATTENTION = f"{_BLOCK}/MultiHeadDotProductAttention_1"
AS_IS = Layout(lambda ours: ours)


def port(tensors: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> tuple[ViTConfig, dict[str, np.ndarray]]:
    """Turns a checkpoint of Google into what `vitjax.weights.rules.convert.build` takes.

    Args:
        tensors: {Google's name: array}.
        settings: unused; Google's files come without any.

    Returns:
        The config and its float32 arrays, for the checkpoint's own image size.

    Raises:
        InputError: arrays that are missing, unknown or of the wrong shape, by name.
    """
    config = config_from_google(settings, shapes_of(tensors))
    target_shapes = unfolded(shapes(config), config, covered=1)
    return config, fold(convert(tensors, rules(config), target_shapes), config)


def rules(config: ViTConfig) -> list[Rule]:
    """The rule table."""
    return [
        *dense("embedding", "patch", Layout(lambda ours: (*config.patch_size, config.channels, ours[1]))),
        *same("cls", "tokens.class", leading=1),
        *same("Transformer/posembed_input/pos_embedding", "tokens.position", leading=1),
        *norm(f"{_BLOCK}/LayerNorm_0", "blocks.norm1"),
        *(
            rule
            for index, name in enumerate(("query", "key", "value"))
            for rule in parted(dense(f"{_ATTENTION}/{name}", "blocks.attn.qkv"), index)
        ),
        *dense(f"{_ATTENTION}/out", "blocks.attn.proj"),
        *norm(f"{_BLOCK}/LayerNorm_2", "blocks.norm2"),
        *dense(f"{_BLOCK}/MlpBlock_3/Dense_0", "blocks.mlp.fc1"),
        *dense(f"{_BLOCK}/MlpBlock_3/Dense_1", "blocks.mlp.fc2"),
        *norm("Transformer/encoder_norm", "norm"),
        *dense("pre_logits", "pre_logits"),
        *dense("head", "head"),
    ]


def config_from_google(settings: Mapping[str, Any], tensor_shapes: Mapping[str, Shape]) -> ViTConfig:
    """Reads the model's config off its arrays' shapes.

    Raises:
        InputError: an array that every ViT has is missing or of another rank, or positions do not fill a square.
    """

    def shape(name: str, rank: int) -> Shape:
        found = tensor_shapes.get(name)
        if found is None:
            raise InputError(f"no array {name}: this is not a Vision Transformer of Google's")
        if len(found) != rank:
            raise InputError(f"{name} is {found}, in a Vision Transformer it has {rank} axes")
        return found

    *patch, channels, width = shape("embedding/kernel", 4)
    patches = shape("Transformer/posembed_input/pos_embedding", 3)[1] - 1
    side = isqrt(max(patches, 0))
    if side * side != patches:
        raise InputError(f"{patches} positions are not a square of patches")
    blocks = {name.split("/")[1] for name in tensor_shapes if name.startswith(_BLOCK[:-3])}
    optional = {
        name: shape(f"{name}/kernel", 2)[1] for name in ("pre_logits", "head") if f"{name}/kernel" in tensor_shapes
    }
    return ViTConfig(
        image_size=(side * patch[0], side * patch[1]),
        patch_size=tuple(patch),
        width=width,
        depth=len(blocks),
        heads=shape(f"{_ATTENTION.format(i=0)}/query/kernel", 3)[1],
        mlp_width=shape(f"{_BLOCK.format(i=0)}/MlpBlock_3/Dense_0/kernel", 2)[1],
        classes=optional.get("head", 0),
        pre_logits=optional.get("pre_logits", 0),
        preprocess=preprocess(channels),
    )


def resampling(settings: Mapping[str, Any]) -> Resampling:
    """How timm resamples these files' positions; Google's own code interpolates with the corners held fast."""
    return Resampling("bilinear")


def architecture(settings: Mapping[str, Any]) -> str:
    """The name of the file."""
    return settings[KEY]


def preprocess(channels: int) -> Preprocess:
    """How pictures are prepared, grey ones by the same mean and std as each colour."""
    each = {name: per_channel(getattr(PREPROCESS, name), channels, name) for name in ("mean", "std")}
    return replace(PREPROCESS, **each)


def dense(source: str, target: str, kernel: Layout = AS_IS) -> list[Rule]:
    """A dense layer, whose axes are as they are here."""
    return [Rule(f"{source}/kernel", f"{target}.kernel", kernel), Rule(f"{source}/bias", f"{target}.bias", AS_IS)]


def norm(source: str, target: str) -> list[Rule]:
    """A LayerNorm's scale and bias."""
    return [Rule(f"{source}/{name}", f"{target}.{name}", AS_IS) for name in ("scale", "bias")]
