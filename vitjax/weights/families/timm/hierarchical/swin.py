"""timm's Swin and Swin V2: their configs by timm's arguments, their rule tables, and older files of both.

Source of the facts: timm 1.0.31, `models/swin_transformer.py` and `models/swin_transformer_v2.py`.
"""

import re
from collections.abc import Callable, Mapping
from math import isqrt
from typing import Any

import numpy as np

from vitjax.errors import InputError
from vitjax.models.hierarchical.pyramid import Grid
from vitjax.models.hierarchical.swin import SwinConfig
from vitjax.models.hierarchical.swin_v2 import SwinV2Config
from vitjax.weights.families.family import Shapes
from vitjax.weights.families.timm.arguments import image_size, pair, preprocess
from vitjax.weights.families.timm.hierarchical.stage_rules import block_rules
from vitjax.weights.families.timm.model_class import Arguments, ModelClass
from vitjax.weights.formats.tensors import Tensors, shapes_of
from vitjax.weights.rules.channels import channels_of
from vitjax.weights.rules.layouts import FLAT, KERNEL, Layout, Rule, drop, linear, norm, patch_conv, same, zeros
from vitjax.weights.rules.resize import resize_distances

MERGED_LAST = "layers.0.downsample.reduction.weight"  # of files whose stages end with merging, as first published
TABLE = "relative_position_bias_table"
SCALES = Layout(lambda ours: (*ours, 1, 1), np.ravel)  # of each head
BUFFERS = ("*.relative_position_index", "*.relative_coords_table", "*.attn_mask", "*.attn.k_bias")


def swin_config(args: Mapping[str, Any], shapes: Shapes) -> SwinConfig:
    """Reads Swin's config off the arguments of `vitjax.weights.families.timm.arguments.arguments`."""
    return SwinConfig(**_fields(args, shapes))


def swin_v2_config(args: Mapping[str, Any], shapes: Shapes) -> SwinV2Config:
    """Reads Swin V2's config off the arguments of `vitjax.weights.families.timm.arguments.arguments`."""
    fields = _fields(args, shapes)
    return SwinV2Config(**fields, trained_windows=tuple(args["pretrained_window_sizes"][: len(fields["depths"])]))


def swin_table(config: SwinConfig) -> list[Rule]:
    """Lists the rules of Swin and of Swin V2."""
    bias = v2_bias_rules if isinstance(config, SwinV2Config) else _bias_rules
    rules = [*patch_conv("patch_embed.proj", "patch", config.patch_size), *norm("patch_embed.norm", "patch_norm")]
    for stage in range(len(config.widths)):
        theirs, ours = f"layers.{stage}", f"stages.{stage}"
        rules += [
            *norm(f"{theirs}.downsample.norm", f"{ours}.merge.norm"),
            Rule(f"{theirs}.downsample.reduction.weight", f"{ours}.merge.reduction.kernel", KERNEL),
            *block_rules(f"{theirs}.blocks.{{i}}", f"{ours}.blocks", "attn.attn"),
            *bias(f"{theirs}.blocks.{{i}}.attn", f"{ours}.blocks.attn.attn"),
        ]
    return [
        *rules,
        *norm("norm", "norm"),
        *linear("head.fc", "head"),
        *drop(*BUFFERS),
        *([] if config.classes else drop("head.fc.weight", "head.fc.bias")),
    ]


def swin_tensors(tensors: Mapping[str, np.ndarray], config: SwinConfig) -> Mapping[str, np.ndarray]:
    """Gives the tensors by the names, and with the tables of distances, that a model of this config has in timm.

    Files as first published, and timm's before 0.9, merge patches at the end of a stage, not before the next. A table
    of another window is resampled; its window was the model's if that has so many distances, else a square.

    Raises:
        InputError: a table that is of no square window.
    """
    names = dict.fromkeys(tensors) if MERGED_LAST not in tensors else {_moved(name): name for name in tensors}
    found = shapes_of(tensors)
    shapes = {name: found[old or name] for name, old in names.items()}
    windows: dict[str, tuple[Grid, Grid]] = {}
    for name, shape in shapes.items():
        if name.endswith(TABLE) and (stage := _stage(name)) < len(config.widths):
            new = config.window(stage)
            windows[name] = _window_of(name, shape[0], new), new
            shapes[name] = (_distances(new), *shape[1:])

    def read(name: str) -> np.ndarray:
        tensor = tensors[names[name] or name]
        return resize_distances(tensor, *windows[name]) if name in windows else tensor

    return Tensors((), shapes, read)


def _fields(args: Mapping[str, Any], shapes: Shapes) -> dict[str, Any]:
    for name, only in (("global_pool", ("avg", "")), ("act_layer", ("gelu",))):
        if args.get(name, only[0]) not in only:
            raise InputError(f"{name}={args[name]!r} is not supported of Swin, only {' and '.join(map(repr, only))}")
    widths = tuple(args["embed_dim"] * 2**stage for stage in range(len(args["depths"])))
    return {
        "image_size": image_size(args),
        "patch_size": pair(args["patch_size"]),
        "widths": widths,
        "depths": tuple(args["depths"]),
        "heads": tuple(args["num_heads"]),
        "mlp_widths": tuple(int(width * args["mlp_ratio"]) for width in widths),
        "windows": stage_windows(args["window_size"], len(widths)),
        "qkv_bias": args["qkv_bias"],
        "classes": args["num_classes"] if args["global_pool"] else 0,
        "preprocess": preprocess(args, channels_of(shapes, "patch_embed.proj.weight")),
    }


def stage_windows(stated: int | list, stages: int) -> tuple[int | Grid, ...]:
    """Gives the window of each stage of what timm takes: one, (rows, columns) of all, or one or a pair for each."""
    pairs = isinstance(stated, list | tuple) and not isinstance(stated[0], list | tuple) and len(stated) == 2
    windows = [stated] * stages if isinstance(stated, int) or pairs else stated
    sides = [window if isinstance(window, list | tuple) else (window, window) for window in windows]
    return tuple(rows if rows == columns else (rows, columns) for rows, columns in sides)


def v2_bias_rules(theirs: str, ours: str) -> list[Rule]:
    """Lists the rules of what Swin V2 has in place of a table, and of its bias of q and v."""
    return [
        Rule(f"{theirs}.q_bias", f"{ours}.qkv.bias", FLAT, (0, 0)),
        *zeros(f"{ours}.qkv.bias", (0, 1)),
        Rule(f"{theirs}.v_bias", f"{ours}.qkv.bias", FLAT, (0, 2)),
        Rule(f"{theirs}.logit_scale", f"{ours}.log_scale", SCALES),
        *linear(f"{theirs}.cpb_mlp.0", f"{ours}.bias.fc1"),
        *linear(f"{theirs}.cpb_mlp.2", f"{ours}.bias.fc2"),
    ]


def _bias_rules(theirs: str, ours: str) -> list[Rule]:
    return same(f"{theirs}.{TABLE}", f"{ours}.bias.distances")


def _moved(name: str) -> str:
    name = re.sub(r"^layers\.(\d+)\.downsample\.", lambda found: f"layers.{int(found[1]) + 1}.downsample.", name)
    return re.sub(r"^head\.(?!fc\.)", "head.fc.", name)


def _stage(name: str) -> int:
    return int(name.split(".")[1])


def _distances(window: Grid) -> int:
    return (2 * window[0] - 1) * (2 * window[1] - 1)


def _window_of(name: str, count: int, new: Grid) -> Grid:
    """The window of a table of so many distances: the model's own if it has as many, else a square."""
    side = isqrt(count)
    if count == _distances(new):
        return new
    if side * side == count and side % 2:
        return ((side + 1) // 2,) * 2
    raise InputError(f"{name} has {count} distances, which no square window has, nor one of {new[0]}x{new[1]}")


def _class(config: Callable[[Arguments, Shapes], SwinConfig]) -> ModelClass:
    """The class of models with configs of this kind."""
    tensors = lambda tensors, args: swin_tensors(tensors, config(args, shapes_of(tensors)))
    return ModelClass(config, lambda config, args: swin_table(config), tensors=tensors)


SWIN_CLASS, SWIN_V2_CLASS = _class(swin_config), _class(swin_v2_config)
