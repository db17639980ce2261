"""timm's Twins: its config by timm's arguments, and its rule table.

Source of the facts: timm 1.0.31, `models/twins.py`.
"""

from collections.abc import Mapping
from typing import Any

from vitjax.errors import InputError
from vitjax.models.hierarchical.reducing import ReducingConfig
from vitjax.models.hierarchical.twins import TwinsConfig
from vitjax.weights.families.family import Shapes
from vitjax.weights.families.timm.arguments import image_size, pair, preprocess
from vitjax.weights.families.timm.hierarchical.stage_rules import block_rules
from vitjax.weights.families.timm.model_class import ModelClass
from vitjax.weights.rules.channels import channels_of
from vitjax.weights.rules.layouts import Rule, conv, drop, linear, merge, norm, patch_conv, same

TWINS_MARK = "patch_embeds.0.proj.weight"  # of every Twins
Arguments = Mapping[str, Any]  # as `vitjax.weights.families.timm.arguments.arguments` gives them


def twins_config(args: Arguments, shapes: Shapes) -> TwinsConfig:
    """Reads the config of a Twins off timm's arguments."""
    return TwinsConfig(**_fields(args, shapes, "patch_embeds.0.proj.weight"), windows=tuple(args["wss"] or ()))


def twins_table(config: TwinsConfig) -> list[Rule]:
    """Lists the rules of a Twins."""
    rules = [*patch_conv("patch_embeds.0.proj", "patch", config.patch_size), *norm("patch_embeds.0.norm", "patch_norm")]
    for stage in range(len(config.widths)):
        theirs, ours = f"blocks.{stage}.{{i}}", f"stages.{stage}"
        rules += [
            *(step_rules(f"patch_embeds.{stage}", f"{ours}.step") if stage else []),
            *block_rules(theirs, f"{ours}.blocks", "attn.attn"),
            *key_rules(f"{theirs}.attn", f"{ours}.blocks.attn", config, stage),
            *conv(f"pos_block.{stage}.proj.0", f"{ours}.peg.conv"),
            *same(f"pos_block.{stage}.proj.0.bias", f"{ours}.peg.conv.bias"),
        ]
    return [*rules, *norm("norm", "norm"), *head_rules(config)]


def key_rules(theirs: str, ours: str, config: ReducingConfig, stage: int) -> list[Rule]:
    """Lists the rules of attention to fewer keys."""
    step = config.reductions[stage]
    return [
        *linear(f"{theirs}.q", f"{ours}.q"),
        *linear(f"{theirs}.kv", f"{ours}.kv"),
        *merge(f"{theirs}.proj", f"{ours}.proj"),
        *patch_conv(f"{theirs}.sr", f"{ours}.step.patch", (step, step)),
        *norm(f"{theirs}.norm", f"{ours}.step.norm"),
    ]


def step_rules(theirs: str, ours: str) -> list[Rule]:
    """Lists the rules of a step to the next stage, which makes one token of every two by two."""
    return [*patch_conv(f"{theirs}.proj", f"{ours}.patch", (2, 2)), *norm(f"{theirs}.norm", f"{ours}.norm")]


def head_rules(config: ReducingConfig) -> list[Rule]:
    """Lists the rules of the head; that of a headless model is left out."""
    return linear("head", "head") if config.classes else drop("head.weight", "head.bias")


def _fields(args: Arguments, shapes: Shapes, first: str) -> dict[str, Any]:
    """The fields that a Twins and a PVT have in common."""
    if args["global_pool"] not in ("avg", ""):
        raise InputError(f"global_pool={args['global_pool']!r} is not supported for this model, only 'avg'")
    widths = tuple(args["embed_dims"])
    ratios = zip(widths, args["mlp_ratios"], strict=True)
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
