"""timm's Swin: its config by timm's arguments, and its rule table.

Source of the facts: timm 1.0.31, `models/swin_transformer.py`.
"""

from collections.abc import Mapping
from typing import Any

from vitjax.models.hierarchical.swin import SwinConfig
from vitjax.weights.families.family import Shapes
from vitjax.weights.families.timm.arguments import image_size, pair, preprocess
from vitjax.weights.families.timm.hierarchical.stage_rules import block_rules
from vitjax.weights.rules.channels import channels_of
from vitjax.weights.rules.layouts import KERNEL, Rule, drop, linear, norm, patch_conv, same


def swin_config(args: Mapping[str, Any], shapes: Shapes) -> SwinConfig:
    """Reads the model's config off the arguments of `vitjax.weights.families.timm.arguments.arguments`."""
    widths = tuple(args["embed_dim"] * 2**stage for stage in range(len(args["depths"])))
    window = args["window_size"]
    return SwinConfig(
        image_size=image_size(args),
        patch_size=pair(args["patch_size"]),
        widths=widths,
        depths=tuple(args["depths"]),
        heads=tuple(args["num_heads"]),
        mlp_widths=tuple(int(width * args["mlp_ratio"]) for width in widths),
        windows=tuple(window) if isinstance(window, list | tuple) else (window,) * len(widths),
        classes=args["num_classes"] if args["global_pool"] else 0,
        preprocess=preprocess(args, channels_of(shapes, "patch_embed.proj.weight")),
    )


def swin_table(config: SwinConfig) -> list[Rule]:
    """Lists the rules."""
    rules = [*patch_conv("patch_embed.proj", "patch", config.patch_size), *norm("patch_embed.norm", "patch_norm")]
    for stage in range(len(config.widths)):
        theirs, ours = f"layers.{stage}", f"stages.{stage}"
        table = "relative_position_bias_table"
        rules += [
            *norm(f"{theirs}.downsample.norm", f"{ours}.merge.norm"),
            Rule(f"{theirs}.downsample.reduction.weight", f"{ours}.merge.reduction.kernel", KERNEL),
            *block_rules(f"{theirs}.blocks.{{i}}", f"{ours}.blocks", "attn.attn"),
            *same(f"{theirs}.blocks.{{i}}.attn.{table}", f"{ours}.blocks.attn.attn.bias.distances"),
        ]
    return [
        *rules,
        *norm("norm", "norm"),
        *linear("head.fc", "head"),
        *drop("*.relative_position_index", "*.attn_mask"),
        *([] if config.classes else drop("head.fc.weight", "head.fc.bias")),
    ]
