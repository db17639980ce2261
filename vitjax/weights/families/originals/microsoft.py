"""The `.pth` files that Swin and Swin V2 were published as.

The files come without a config: widths, depths, heads and windows stand in the tensors' shapes, the image size in the
file's name or in the shapes of its masks, and the windows that a Swin V2 was trained with before in its name alone.
Source of the facts: microsoft/Swin-Transformer, `models/swin_transformer.py`, `models/swin_transformer_v2.py`,
`data/build.py` and `configs/`; names of files from its MODELHUB.md.
"""

import re
from collections.abc import Mapping
from math import isqrt
from pathlib import Path
from typing import Any

import numpy as np

from vitjax.errors import InputError
from vitjax.models.core.preprocess import Preprocess
from vitjax.models.hierarchical.swin import SwinConfig
from vitjax.models.hierarchical.swin_v2 import SwinV2Config
from vitjax.weights.families.family import Family, Settings, Shapes
from vitjax.weights.families.timm.hierarchical.swin import TABLE, swin_table, swin_tensors
from vitjax.weights.formats.tensors import Tensors, shapes_of
from vitjax.weights.rules.channels import channels_of

KEY = "swin"  # the setting that holds the name of the file
ENDINGS = (".pth", ".pt")
MARK, FIRST = "patch_embed.proj.weight", "layers.0.blocks.0.attn."
TABLES, SCALES = FIRST + TABLE, f"{FIRST}logit_scale"
NAME = re.compile(r"window(\d+)(?:to(\d+))?_(\d+)(?:to(\d+))?")  # windows and image sizes: before, and after tuning
EXAMPLE = "swin_tiny_patch4_window7_224.pth"
WIDE = 384  # pixels of models whose pictures are squeezed into a square, not cut out
PREPROCESS = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225), "interpolation": "bicubic"}


def settings_of(path: Path, tensors: Tensors) -> Settings | None:
    """Knows a file by its tensors."""
    known = MARK in tensors and (TABLES in tensors or SCALES in tensors)
    return {KEY: path.stem} if known and path.suffix in ENDINGS else None


def config(settings: Settings, shapes: Shapes) -> SwinConfig:
    """Reads the model's config off its tensors' shapes and the file's name.

    Raises:
        InputError: a name or tensors that do not say what they should, or that contradict each other.
    """
    stages = 1 + max(int(name.split(".")[1]) for name in shapes if name.startswith("layers."))
    first = [f"layers.{stage}.blocks.0." for stage in range(stages)]
    width, _, *patch = shapes[MARK]
    second, stated = SCALES in shapes, NAME.search(settings[KEY])
    windows = [_window(f"{block}attn.", shapes, stated) for block in first]
    side = _side(settings[KEY], shapes, windows[0], patch[0], stated)
    fields: dict[str, Any] = {
        "image_size": (side, side),
        "patch_size": tuple(patch),
        "widths": tuple(width * 2**stage for stage in range(stages)),
        "depths": tuple(len({name.split(".")[3] for name in shapes if name.startswith(block[:-2])}) for block in first),
        "heads": tuple(
            shapes[f"{block}attn.{'logit_scale' if second else TABLE}"][0 if second else 1] for block in first
        ),
        "mlp_widths": tuple(shapes[f"{block}mlp.fc1.weight"][0] for block in first),
        "windows": tuple(windows),
        "qkv_bias": f"{FIRST}{'q_bias' if second else 'qkv.bias'}" in shapes,
        "classes": shapes.get("head.weight", shapes.get("head.fc.weight", (0,)))[0],
        "preprocess": _preprocess(side, channels_of(shapes, MARK)),
    }
    if not second:
        return SwinConfig(**fields)
    if stated is None:
        raise InputError(
            f"the name {settings[KEY]!r} does not say with which windows this Swin V2 was trained before: give the file"
            " the name that it was published under, e.g. swinv2_tiny_patch4_window8_256.pth"
        )
    window, tuned, before, _ = (None if found is None else int(found) for found in stated.groups())
    trained = lambda stage: min(window, before // patch[0] // 2**stage) if tuned else 0
    return SwinV2Config(**fields, trained_windows=tuple(map(trained, range(stages))))


def _heads(attention: str, shapes: Shapes) -> int:
    scales = f"{attention}logit_scale"
    return shapes[scales][0] if scales in shapes else shapes[attention + TABLE][1]


def _window(attention: str, shapes: Shapes, stated: re.Match | None) -> int:
    """The rows of a window, which is a square."""
    if (table := attention + TABLE) in shapes:
        return (isqrt(shapes[table][0]) + 1) // 2
    if (index := f"{attention}relative_position_index") in shapes:
        return isqrt(shapes[index][0])
    return int(stated[2] or stated[1]) if stated else 1  # which `config` refuses


def _side(name: str, shapes: Shapes, window: int, patch: int, stated: re.Match | None) -> int:
    """The height and width of an image in pixels."""
    masks = shapes.get("layers.0.blocks.1.attn_mask")
    masked = isqrt(masks[0]) * window * patch if masks else None
    named = int(stated[4] or stated[3]) if stated else masked
    if named is None:
        raise InputError(
            f"nothing says the image size of this Swin: give the file {name!r} the name that it was published under,"
            f" e.g. {EXAMPLE}, or put timm's config.json beside it"
        )
    if masked not in (None, named):
        raise InputError(f"the name {name!r} says {named} pixels, the masks in the file are those of {masked}")
    return named


def _preprocess(side: int, channels: int) -> Preprocess:
    squeezed = side >= WIDE
    how = {"mode": "squash", "crop": 1.0} if squeezed else {"crop": 224 / 256}
    if channels != 3:
        raise InputError(f"the first convolution reads {channels} channels, in Swin's own files it reads 3")
    return Preprocess(**PREPROCESS, **how)


def tensors_of(tensors: Mapping[str, np.ndarray], settings: Settings) -> Mapping[str, np.ndarray]:
    """Gives the tensors by timm's names."""
    return swin_tensors(tensors, config(settings, shapes_of(tensors)))


MICROSOFT = Family(
    name="swin",
    match=lambda settings: KEY in settings,
    config=config,
    table=lambda config, settings, shapes: swin_table(config),
    tensors=tensors_of,
    files=settings_of,
    marks={MARK: ()},
    architecture=lambda settings: settings[KEY],
    referee="timm",
)
