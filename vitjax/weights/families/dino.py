"""The `.pth` files that DINO and DINOv2 were published as.

The files come without a config: all but the heads stands in the tensors' shapes, and every head of these models has 64
channels. Names are those of early timm; a model that was trained in chunks says `blocks.CHUNK.BLOCK`. Source of the
facts: facebookresearch/dino, `vision_transformer.py` and `eval_linear.py`; facebookresearch/dinov2,
`models/vision_transformer.py`, `hub/backbones.py`, `data/transforms.py`.
"""

import re
from collections.abc import Iterable, Mapping
from math import isqrt
from pathlib import Path

import numpy as np

from vitjax.errors import InputError
from vitjax.models.core.config import Preprocess, ViTConfig
from vitjax.weights.families.family import Family, Settings, Shapes
from vitjax.weights.families.timm import plain as timm
from vitjax.weights.formats.tensors import Tensors, shapes_of
from vitjax.weights.rules.layouts import Rule, Shape, linear, same
from vitjax.weights.rules.resize import Resampling

KEY = "dino"  # the setting that holds the name of the file
REGISTERS = "register_tokens"
ENDINGS = (".pth", ".pt")
HEAD_WIDTH = 64
PREPROCESS = Preprocess(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), crop=0.875, interpolation="bicubic")


def settings_of(path: Path, tensors: Tensors) -> Settings | None:
    """Knows a file by its name, which begins with "dino", or by DINOv2's mask token."""
    own, name = set(_own(tensors)), path.stem
    if path.suffix not in ENDINGS or "pos_embed" not in own:
        return None
    return {KEY: name, REGISTERS: REGISTERS in own} if name.lower().startswith(KEY) or "mask_token" in own else None


def unchunked(tensors: Mapping[str, np.ndarray], settings: Settings) -> Tensors:
    """Gives the tensors by the names that they have in a model without chunks."""
    names, found = _own(tensors), shapes_of(tensors)
    return Tensors((), {name: found[theirs] for name, theirs in names.items()}, lambda name: tensors[names[name]])


def table(config: ViTConfig, settings: Settings, shapes: Shapes) -> list[Rule]:
    """Lists the rules: timm's, with DINOv2's own names of registers and of its gated MLP."""
    return [
        *timm.table(config),
        *same(REGISTERS, "tokens.registers", leading=1),
        *linear("blocks.{i}.mlp.w12", "blocks.mlp.fc1"),
        *linear("blocks.{i}.mlp.w3", "blocks.mlp.fc2"),
    ]


def config(settings: Settings, shapes: Shapes) -> ViTConfig:
    """Reads the model's config off its tensors' shapes.

    Raises:
        InputError: a tensor that every model of these has is missing or of another rank, a width that is no multiple
            of a head's, or positions that do not fill a square.
    """

    def shape(name: str, rank: int) -> Shape:
        if name not in shapes:
            raise InputError(f"no tensor {name}: this is no Vision Transformer of DINO or DINOv2")
        if len(found := shapes[name]) != rank:
            raise InputError(f"{name} is {found}, in DINO it has {rank} axes")
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
    gated = "blocks.0.mlp.w3.weight" in shapes
    return ViTConfig(
        image_size=(side * patch[0], side * patch[1]),
        patch_size=tuple(patch),
        width=width,
        depth=len({name.split(".")[1] for name in shapes if name.startswith("blocks.")}),
        heads=width // HEAD_WIDTH,
        mlp_width=shape(f"blocks.0.mlp.{'w3' if gated else 'fc2'}.weight", 2)[1],
        classes=0,
        registers=shape(REGISTERS, 3)[1] if REGISTERS in shapes else 0,
        layer_scale="blocks.0.ls1.gamma" in shapes,
        qkv_bias="blocks.0.attn.qkv.bias" in shapes,
        gated=gated,
        activation="silu" if gated else "gelu",
        preprocess=PREPROCESS,
    )


def resampling(settings: Settings) -> Resampling:
    """Says how the original code resamples: models with registers were published with another convention."""
    return Resampling("bicubic" if settings[REGISTERS] else "offset bicubic")


def _own(names: Iterable[str]) -> dict[str, str]:
    """{name in an unchunked model: the file's name}."""
    return {re.sub(r"^blocks\.\d+\.(\d+\.)", r"blocks.\1", name): name for name in names}


DINO = Family(
    name="dino",
    match=lambda settings: KEY in settings,
    config=config,
    table=table,
    covered=lambda config, settings, shapes: 1,
    tensors=unchunked,
    resampling=resampling,
    files=settings_of,
    marks={"patch_embed.proj.weight": ()},
    architecture=lambda settings: settings[KEY],
    referee="timm",
)
