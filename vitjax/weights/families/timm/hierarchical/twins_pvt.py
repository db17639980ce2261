"""timm's Twins and PVT v2: their configs by timm's arguments, and their rule tables.

Source of the facts: timm 1.0.31, `models/twins.py` and `models/pvt_v2.py`.
"""

from typing import Any

from vitjax.errors import InputError
from vitjax.models.hierarchical.pvt_v2 import PvtV2Config
from vitjax.models.hierarchical.reducing import ReducingConfig
from vitjax.models.hierarchical.twins import TwinsConfig
from vitjax.weights.families.family import Shapes
from vitjax.weights.families.timm.arguments import image_size, pair, preprocess
from vitjax.weights.families.timm.hierarchical.stage_rules import mlp_rules
from vitjax.weights.families.timm.model_class import Arguments, ModelClass
from vitjax.weights.rules.channels import channels_of
from vitjax.weights.rules.layouts import CONV, Rule, dense, drop, linear, merge, norm, patch_conv

TWINS_MARK = "patch_embeds.0.proj.weight"  # of every Twins
POOLED = 7  # rows and columns of keys of the linear kind


def twins_config(args: Arguments, shapes: Shapes) -> TwinsConfig:
    """Reads the config of a Twins off timm's arguments."""
    return TwinsConfig(**_fields(args, shapes, "patch_embeds.0.proj.weight"), windows=tuple(args["wss"] or ()))


def twins_table(config: TwinsConfig) -> list[Rule]:
    """Lists the rules of a Twins."""
    rules = [*patch_conv("patch_embeds.0.proj", "patch", config.patch_size), *norm("patch_embeds.0.norm", "patch_norm")]
    for stage in range(len(config.widths)):
        theirs, patches, ours = f"blocks.{stage}.{{i}}", f"patch_embeds.{stage}", f"stages.{stage}"
        rules += [
            *(step_rules(f"{patches}.proj", f"{patches}.norm", f"{ours}.step") if stage else []),
            *fewer_keys_rules(theirs, f"{ours}.blocks", config, stage),
            *linear(f"{theirs}.attn.qkv", f"{ours}.blocks.attn.attn.qkv"),
            *merge(f"{theirs}.attn.proj", f"{ours}.blocks.attn.attn.proj"),
            *dense(f"pos_block.{stage}.proj.0", f"{ours}.peg.conv", CONV),
        ]
    return [*rules, *norm("norm", "norm"), *head_rules(config)]


def pvt_v2_config(args: Arguments, shapes: Shapes) -> PvtV2Config:
    """Reads the config of a PVT v2 off timm's arguments."""
    fields = _fields(args, shapes, "patch_embed.proj.weight")
    return PvtV2Config(**fields, qkv_bias=args["qkv_bias"], pooled=POOLED if args["linear"] else 0)


def pvt_v2_table(config: PvtV2Config) -> list[Rule]:
    """Lists the rules of a PVT v2: timm's names, and those of the files that its authors published."""
    rules = []
    for stage in range(len(config.widths)):
        number, ours = stage + 1, f"stages.{stage}"
        patch, patch_norm = (f"{ours}.step.patch", f"{ours}.step.norm") if stage else ("patch", "patch_norm")
        for step, block, last, conv in (
            (f"{ours}.downsample" if stage else "patch_embed", f"{ours}.blocks.{{i}}", f"{ours}.norm", "dwconv"),
            (f"patch_embed{number}", f"block{number}.{{i}}", f"norm{number}", "dwconv.dwconv"),
        ):
            rules += [
                *dense(f"{step}.proj", patch, CONV),
                *norm(f"{step}.norm", patch_norm),
                *fewer_keys_rules(block, f"{ours}.blocks", config, stage),
                *dense(f"{block}.mlp.{conv}", f"{ours}.blocks.mlp.mixer.conv", CONV),
                *norm(last, f"{ours}.norm"),
            ]
    return [*rules, *head_rules(config)]


def fewer_keys_rules(theirs: str, ours: str, config: ReducingConfig, stage: int) -> list[Rule]:
    """Lists the rules of blocks whose attention has fewer keys.

    Args:
        theirs: what a block's names begin with, e.g. "blocks.0.{i}".
        ours: the stack, e.g. "stages.0.blocks".
        config: of the model.
        stage: that the blocks are of.
    """
    return [
        *norm(f"{theirs}.norm1", f"{ours}.norm1"),
        *linear(f"{theirs}.attn.q", f"{ours}.attn.q"),
        *linear(f"{theirs}.attn.kv", f"{ours}.attn.kv"),
        *merge(f"{theirs}.attn.proj", f"{ours}.attn.proj"),
        *source_rules(f"{theirs}.attn.sr", f"{theirs}.attn.norm", f"{ours}.attn.step", config, stage),
        *norm(f"{theirs}.norm2", f"{ours}.norm2"),
        *mlp_rules(f"{theirs}.mlp", f"{ours}.mlp"),
    ]


def source_rules(layer: str, last: str, ours: str, config: ReducingConfig, stage: int) -> list[Rule]:
    """Lists the rules of what fewer keys are made with: a layer and the norm after it."""
    if config.pooled:
        return [*patch_conv(layer, f"{ours}.map", (1, 1)), *norm(last, f"{ours}.norm")]
    size = config.reductions[stage]
    return [*patch_conv(layer, f"{ours}.patch", (size, size)), *norm(last, f"{ours}.norm")]


def step_rules(layer: str, last: str, ours: str) -> list[Rule]:
    """Lists the rules of a step to the next stage, which makes one token of every two by two: a layer and its norm."""
    return [*patch_conv(layer, f"{ours}.patch", (2, 2)), *norm(last, f"{ours}.norm")]


def head_rules(config: ReducingConfig) -> list[Rule]:
    """Lists the rules of the head; that of a headless model is left out."""
    return linear("head", "head") if config.classes else drop("head.weight", "head.bias")


def _fields(args: Arguments, shapes: Shapes, first: str) -> dict[str, Any]:
    """The fields that a Twins and a PVT have in common."""
    if args["global_pool"] not in ("avg", ""):
        raise InputError(f"global_pool={args['global_pool']!r} is not supported for this model, only 'avg'")
    widths = tuple(args["embed_dims"])
    ratios = zip(widths, args["mlp_ratios"], strict=False)  # the config counts them
    return {
        "image_size": image_size(args),
        "patch_size": pair(args["patch_size"]),
        "widths": widths,
        "depths": tuple(args["depths"]),
        "heads": tuple(args["num_heads"]),
        "mlp_widths": tuple(int(width * ratio) for width, ratio in ratios),
        "reductions": tuple(args["sr_ratios"]),
        "classes": args["num_classes"] if args["global_pool"] else 0,
        "preprocess": preprocess(args, channels_of(shapes, first)),
    }


TWINS_CLASS = ModelClass(twins_config, lambda config, args: twins_table(config), mark=TWINS_MARK)
PVT_V2_CLASS = ModelClass(pvt_v2_config, lambda config, args: pvt_v2_table(config))
