"""The `.pth` files that PVT and PVT v2 were published as.

The files come without a config: all but the heads stands in the tensors' shapes. Published models have heads of 64
channels, the smallest PVT v2 of 32; one that was trained with other heads needs a config of another library beside it.
Source of the facts: whai362/PVT, `classification/{pvt,pvt_v2,datasets}.py`.
"""

from collections.abc import Callable
from math import isqrt
from pathlib import Path
from typing import Any

from vitjax.errors import InputError
from vitjax.models.core.preprocess import Preprocess
from vitjax.models.hierarchical.pvt import PvtConfig
from vitjax.models.hierarchical.pvt_v2 import PvtV2Config
from vitjax.models.hierarchical.reducing import ReducingConfig
from vitjax.weights.families.family import Family, Settings, Shapes
from vitjax.weights.families.timm.hierarchical.twins_pvt import (
    POOLED,
    fewer_keys_rules,
    head_rules,
    pvt_v2_table,
    step_rules,
)
from vitjax.weights.formats.tensors import Tensors
from vitjax.weights.rules.channels import channels_of
from vitjax.weights.rules.layouts import Layout, Rule, norm, patch_conv, same
from vitjax.weights.rules.resize import Resampling

KEY = "pvt"  # the setting that holds the name of the file
ENDINGS = (".pth", ".pt")
MARK, CONVOLUTION = "patch_embed1.proj.weight", "block1.0.mlp.dwconv.dwconv.weight"  # of both; of PVT v2
HEAD_WIDTH = 64
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def settings_of(path: Path, tensors: Tensors) -> Settings | None:
    """Knows a file by its tensors."""
    return {KEY: path.stem} if path.suffix in ENDINGS and {MARK, "block1.0.attn.q.weight"} <= set(tensors) else None


def config(settings: Settings, shapes: Shapes) -> ReducingConfig:
    """Reads the model's config off its tensors' shapes.

    Raises:
        InputError: a tensor that every such model has is missing or of another rank, or positions that are no square.
    """

    def shape(name: str, rank: int) -> tuple[int, ...]:
        if len(found := shapes.get(name, ())) != rank:
            raise InputError(f"{name} is {found or 'missing'}, in a PVT it has {rank} axes")
        return found

    stages = [name for name in (f"block{number}." for number in range(1, 10)) if f"{name}0.attn.q.weight" in shapes]
    patch = shape(MARK, 4)
    widths = tuple(shape(f"patch_embed{number}.proj.weight", 4)[0] for number in range(1, len(stages) + 1))
    steps = tuple(shapes.get(f"{stage}0.attn.sr.weight", (1,))[-1] for stage in stages)
    fields: dict[str, Any] = {
        "widths": widths,
        "depths": tuple(len({name.split(".")[1] for name in shapes if name.startswith(stage)}) for stage in stages),
        "heads": tuple(width // min(HEAD_WIDTH, widths[0]) for width in widths),
        "mlp_widths": tuple(shape(f"{stage}0.mlp.fc1.weight", 2)[0] for stage in stages),
        "reductions": steps,
        "qkv_bias": "block1.0.attn.q.bias" in shapes,
        "classes": shapes.get("head.weight", (0,))[0],
        "preprocess": _preprocess(channels_of(shapes, MARK)),
    }
    if CONVOLUTION in shapes:
        pooled = f"{stages[-1]}0.attn.sr.weight" in shapes and set(steps) == {1}
        return PvtV2Config(**fields, pooled=POOLED if pooled else 0)
    places, side = shape("pos_embed1", 3)[1], patch[2]
    if isqrt(places) ** 2 != places:
        raise InputError(f"{places} positions are not a square of patches")
    return PvtConfig(**fields, patch_size=(side, side), image_size=(isqrt(places) * side,) * 2)


def table(config: ReducingConfig, settings: Settings, shapes: Shapes) -> list[Rule]:
    """Lists the rules."""
    if isinstance(config, PvtV2Config):
        return pvt_v2_table(config)
    rules = [*patch_conv("patch_embed1.proj", "patch", config.patch_size), *norm("patch_embed1.norm", "patch_norm")]
    for stage in range(len(config.widths)):
        patches, ours = f"patch_embed{stage + 1}", f"stages.{stage}"
        rules += [
            *(step_rules(f"{patches}.proj", f"{patches}.norm", f"{ours}.step") if stage else []),
            *fewer_keys_rules(f"block{stage + 1}.{{i}}", f"{ours}.blocks", config, stage),
        ]
    return [
        *rules,
        *position_rules(config, lambda stage: f"pos_embed{stage + 1}", "cls_token"),
        *norm("norm", "norm"),
        *head_rules(config),
    ]


def position_rules(config: PvtConfig, positions: Callable[[int], str], token: str) -> list[Rule]:
    """Lists the rules of each stage's positions, of which the class token has the first where there is one.

    Args:
        config: of the model.
        positions: gives the name of a stage's.
        token: the name of the class token.
    """
    rules = []
    for stage, (rows, columns) in enumerate(config.grids):
        ours, first = f"stages.{stage}", config.places(stage).prefix
        count = first + rows * columns
        rules.append(Rule(positions(stage), f"{ours}.position", _rows(first, count, count)))
        if first:
            rules.append(Rule(positions(stage), f"{ours}.token_position", _rows(0, first, count)))
            rules += same(token, f"{ours}.token", leading=1)
    return rules


def _rows(start: int, stop: int, of: int) -> Layout:
    """Some rows of a table of `of`, [1, row, channel]."""
    return Layout(lambda ours: (1, of, ours[-1]), lambda table: table[0, start:stop])


def _preprocess(channels: int) -> Preprocess:
    """A picture's shorter side becomes 8/7 of the model's size, of which the centre is cut out."""
    if channels != len(MEAN):
        raise InputError(f"the first convolution reads {channels} channels, in PVT's own files it reads {len(MEAN)}")
    return Preprocess(MEAN, STD, crop=224 / 256, interpolation="bicubic")


PVT = Family(
    name="pvt",
    match=lambda settings: KEY in settings,
    config=config,
    table=table,
    resampling=lambda settings: Resampling("bilinear"),
    files=settings_of,
    marks={MARK: ()},
    architecture=lambda settings: settings[KEY],
)
