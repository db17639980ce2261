"""Tensors of OpenAI's CLIP (`ViT-B-32.pt`, TorchScript) in, config and arrays of either tower out.

Everything about the model stands in the tensors' shapes but its heads, which have 64 channels each, its QuickGELU, and
how pictures were prepared. Source of the facts: openai/CLIP, `clip/model.py` and `clip/clip.py`.
"""

from collections.abc import Mapping
from math import isqrt
from typing import Any

import numpy as np

from vitjax.errors import InputError
from vitjax.models.core.config import Preprocess, TextConfig, ViTConfig
from vitjax.weights.formats.tensors import Tensors, shapes_of
from vitjax.weights.formats.torch_zip import SCRIPT
from vitjax.weights.rules.convert import convert, shapes
from vitjax.weights.rules.layouts import FLAT, Rule, Shape, dense, drop, linear, merge, norm, patch_conv, same
from vitjax.weights.rules.prefix_tokens import fold, unfolded
from vitjax.weights.rules.resize import Resampling

KEY = "clip"  # the one setting of files that come without a config: their name
HEAD = 64  # channels of a head
PREPROCESS = Preprocess(mean=(0.48145466, 0.4578275, 0.40821073), std=(0.26862954, 0.26130258, 0.27577711), crop=1.0)
VISUAL = "visual."
TEXT = ("token_embedding.weight", "positional_embedding", "text_projection", "transformer.*", "ln_final.*", "text.*")
NUMBERS = ("logit_scale", "logit_bias", "input_resolution", "context_length", "vocab_size")


def is_clip(tensors: Tensors) -> bool:
    """Whether a file is OpenAI's own. OpenCLIP has the same names for models that may have the exact GELU."""
    return SCRIPT in tensors.metadata and "visual.conv1.weight" in tensors


def port(tensors: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> tuple[ViTConfig, dict[str, np.ndarray]]:
    """Turns a checkpoint of OpenAI into what `vitjax.weights.rules.convert.build` takes for the image tower.

    Args:
        tensors: {OpenAI's name: tensor}.
        settings: unused; OpenAI's files come without any.

    Raises:
        InputError: a ResNet, or tensors that are missing, unknown or of the wrong shape, by name.
    """
    config = config_from_openai(settings, shapes_of(tensors))
    return config, fold(convert(tensors, image_rules(config), unfolded(shapes(config), config, covered=1)), config)


def image_rules(config: ViTConfig) -> list[Rule]:
    """The rule table of the image tower."""
    return [
        *patch_conv(f"{VISUAL}conv1", "patch", config.patch_size),
        Rule(f"{VISUAL}class_embedding", "tokens.class", FLAT),
        *same(f"{VISUAL}positional_embedding", "tokens.position"),
        *norm(f"{VISUAL}ln_pre", "pre_norm"),
        *_blocks(VISUAL),
        *norm(f"{VISUAL}ln_post", "norm"),
        *same(f"{VISUAL}proj", "projection.kernel"),
        *drop(*TEXT, *NUMBERS),
    ]


def port_text(
    tensors: Mapping[str, np.ndarray], settings: Mapping[str, Any]
) -> tuple[TextConfig, dict[str, np.ndarray]]:
    """The same for the text tower."""
    tensor_shapes = shapes_of(tensors)
    vocabulary, width = _shape(tensor_shapes, "token_embedding.weight", 2)
    config = TextConfig(
        **_stack(tensor_shapes, "", width),
        vocabulary=vocabulary,
        context=_shape(tensor_shapes, "positional_embedding", 2)[0],
        eos=vocabulary - 1,
        projection=_shape(tensor_shapes, "text_projection", 2)[1],
    )
    return config, convert(tensors, text_rules(), shapes(config))


def text_rules(p: str = "") -> list[Rule]:
    """The rule table of the text tower, whose names begin with `p`."""
    return [
        *same(f"{p}token_embedding.weight", "token"),
        *same(f"{p}positional_embedding", "position"),
        *_blocks(p),
        *norm(f"{p}ln_final", "norm"),
        *same(f"{p}text_projection", "projection.kernel"),
        *linear(f"{p}text_projection", "projection"),  # OpenCLIP's, where it has a bias
        *drop(f"{VISUAL}*", f"{p}attn_mask", *NUMBERS),
    ]


def config_from_openai(settings: Mapping[str, Any], tensor_shapes: Mapping[str, Shape]) -> ViTConfig:
    """Reads the image tower's config off its tensors' shapes.

    Raises:
        InputError: a tensor that CLIP's Vision Transformers have is missing or of another rank, as in its ResNets.
    """
    width, projection = _shape(tensor_shapes, f"{VISUAL}proj", 2)
    patch = _shape(tensor_shapes, f"{VISUAL}conv1.weight", 4)[2:]
    rows = isqrt(_shape(tensor_shapes, f"{VISUAL}positional_embedding", 2)[0] - 1)
    return ViTConfig(
        **_stack(tensor_shapes, VISUAL, width),
        image_size=(rows * patch[0], rows * patch[1]),
        patch_size=patch,
        classes=0,
        projection=projection,
        pre_norm=True,
        patch_bias=False,
        final_norm="pooled",
        preprocess=PREPROCESS,
    )


def resampling(settings: Mapping[str, Any]) -> Resampling:
    """How OpenCLIP and timm resample these files' positions; OpenAI's own code keeps to one size."""
    return Resampling("bicubic")


def architecture(settings: Mapping[str, Any]) -> str:
    """The name of the file."""
    return settings[KEY]


def _shape(tensor_shapes: Mapping[str, Shape], name: str, rank: int) -> Shape:
    found = tensor_shapes.get(name, ())
    if len(found) != rank:
        raise InputError(f"no tensor {name} of {rank} axes: this is not a CLIP of OpenAI's with a Vision Transformer")
    return found


def _stack(tensor_shapes: Mapping[str, Shape], p: str, width: int) -> dict[str, Any]:
    """The fields of a tower's blocks; `p` is what the names of its tensors begin with."""
    start = f"{p}transformer.resblocks."
    return {
        "width": width,
        "depth": len({name.removeprefix(start).split(".")[0] for name in tensor_shapes if name.startswith(start)}),
        "heads": max(1, width // HEAD),
        "mlp_width": _shape(tensor_shapes, f"{start}0.mlp.c_fc.weight", 2)[0],
        "activation": "quick_gelu",
        "norm_eps": 1e-5,
    }


def _blocks(p: str) -> list[Rule]:
    block = f"{p}transformer.resblocks.{{i}}."
    return [
        *norm(f"{block}ln_1", "blocks.norm1"),
        *dense(f"{block}attn.in_proj", "blocks.attn.qkv", weight="_weight", bias="_bias"),
        *merge(f"{block}attn.out_proj", "blocks.attn.proj"),
        *same(f"{block}ls_1.gamma", "blocks.scale1"),
        *norm(f"{block}ln_2", "blocks.norm2"),
        *linear(f"{block}mlp.c_fc", "blocks.mlp.fc1"),
        *linear(f"{block}mlp.c_proj", "blocks.mlp.fc2"),
        *same(f"{block}ls_2.gamma", "blocks.scale2"),
    ]
