"""Tensors of the `.pth` files that DINO and DINOv2 were published as in, config and the model's arrays out.

The files come without a config: all but the heads stands in the tensors' shapes, and every head of these models has 64
channels. Names are those of early timm; a model that was trained in chunks says `blocks.CHUNK.BLOCK`. Source of the
facts: facebookresearch/dino, `vision_transformer.py` and `eval_linear.py`; facebookresearch/dinov2,
`models/vision_transformer.py`, `hub/backbones.py`, `data/transforms.py`.
"""

import re
from collections.abc import Iterable, Mapping
from math import isqrt
from typing import Any

import numpy as np

from vitjax.errors import InputError
from vitjax.models.core.config import Preprocess, ViTConfig
from vitjax.weights.families.timm import plain as timm
from vitjax.weights.formats.tensors import Tensors, shapes_of
from vitjax.weights.rules.convert import convert, shapes
from vitjax.weights.rules.layouts import Rule, Shape, linear, same
from vitjax.weights.rules.prefix_tokens import fold, unfolded
from vitjax.weights.rules.resize import Resampling

KEY = "dino"  # the setting that holds the name of the file
REGISTERS = "register_tokens"
ENDINGS = (".pth", ".pt")
HEAD_WIDTH = 64
PREPROCESS = Preprocess(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), crop=0.875, interpolation="bicubic")


def settings(stem: str, names: Iterable[str]) -> dict[str, Any] | None:
    """What there is to know of a file beyond its shapes; None if it is not of this family.

    Args:
        stem: the file's name without its ending; DINO's begins with "dino".
        names: of its tensors; DINOv2's have a mask token.
    """
    own = set(_own(names))
    if "pos_embed" not in own or not (stem.lower().startswith(KEY) or "mask_token" in own):
        return None
    return {KEY: stem, REGISTERS: REGISTERS in own}


def port(tensors: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> tuple[ViTConfig, dict[str, np.ndarray]]:
    """Turns a checkpoint of DINO or DINOv2 into what `vitjax.weights.rules.convert.build` takes.

    Args:
        tensors: {the file's name: tensor}.
        settings: as `settings` gives them.

    Returns:
        The config and its float32 arrays, for the checkpoint's own image size.

    Raises:
        InputError: tensors that are missing, unknown or of the wrong shape, by name.
    """
    config, names, found = config_from_dino(settings, shapes_of(tensors)), _own(tensors), shapes_of(tensors)
    own = Tensors((), {name: found[theirs] for name, theirs in names.items()}, lambda name: tensors[names[name]])
    return config, fold(convert(own, rules(config), unfolded(shapes(config), config, covered=1)), config)


def rules(config: ViTConfig) -> list[Rule]:
    """The rule table: timm's, with DINOv2's own names of registers and of its gated MLP."""
    return [
        *timm.rules(config),
        *same(REGISTERS, "tokens.registers", leading=1),
        *linear("blocks.{i}.mlp.w12", "blocks.mlp.fc1"),
        *linear("blocks.{i}.mlp.w3", "blocks.mlp.fc2"),
    ]


def config_from_dino(settings: Mapping[str, Any], tensor_shapes: Mapping[str, Shape]) -> ViTConfig:
    """Reads the model's config off its tensors' shapes.

    Raises:
        InputError: a tensor that every model of these has is missing or of another rank, a width that is no multiple
            of a head's, or positions that do not fill a square.
    """
    names = _own(tensor_shapes)

    def shape(name: str, rank: int) -> Shape:
        if name not in names:
            raise InputError(f"no tensor {name}: this is no Vision Transformer of DINO or DINOv2")
        if len(found := tensor_shapes[names[name]]) != rank:
            raise InputError(f"{names[name]} is {found}, in DINO it has {rank} axes")
        return found

    width, channels, *patch = shape("patch_embed.proj.weight", 4)
    patches = shape("pos_embed", 3)[1] - 1
    side = isqrt(max(patches, 0))
    if channels != 3 or side * side != patches:
        raise InputError(
            f"patches of {channels} channels and {patches} positions are not a square of patches of pixels"
        )
    if width % HEAD_WIDTH:
        raise InputError(f"width {width} is no multiple of {HEAD_WIDTH}, the width of every head of DINO")
    gated = "blocks.0.mlp.w3.weight" in names
    return ViTConfig(
        image_size=(side * patch[0], side * patch[1]),
        patch_size=tuple(patch),
        width=width,
        depth=len({name.split(".")[1] for name in names if name.startswith("blocks.")}),
        heads=width // HEAD_WIDTH,
        mlp_width=shape(f"blocks.0.mlp.{'w3' if gated else 'fc2'}.weight", 2)[1],
        classes=0,
        registers=shape(REGISTERS, 3)[1] if REGISTERS in names else 0,
        layer_scale="blocks.0.ls1.gamma" in names,
        qkv_bias="blocks.0.attn.qkv.bias" in names,
        gated=gated,
        activation="silu" if gated else "gelu",
        preprocess=PREPROCESS,
    )


def resampling(settings: Mapping[str, Any]) -> Resampling:
    """How the original code resamples positions: models with registers were published with another convention."""
    return Resampling("bicubic" if settings[REGISTERS] else "offset bicubic")


def architecture(settings: Mapping[str, Any]) -> str:
    """The name of the file."""
    return settings[KEY]


def _own(names: Iterable[str]) -> dict[str, str]:
    """{name in an unchunked model: the file's name}."""
    return {re.sub(r"^blocks\.\d+\.(\d+\.)", r"blocks.\1", name): name for name in names}
