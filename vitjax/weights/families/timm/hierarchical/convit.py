"""timm's ConViT: its config by timm's arguments, and its rule table.

Source of the facts: timm 1.0.31, `models/convit.py`.
"""

from collections.abc import Mapping
from typing import Any

from vitjax.errors import InputError
from vitjax.models.convit import ConvitConfig
from vitjax.weights.families.timm.arguments import POOLS, image_size, pair, preprocess
from vitjax.weights.families.timm.hierarchical.stage_rules import block_rules
from vitjax.weights.rules.layouts import FLAT, KERNEL, Rule, drop, linear, norm, patch_conv, same


def convit_config(args: Mapping[str, Any], channels: int) -> ConvitConfig:
    """Reads the model's config off the arguments of `vitjax.weights.families.timm.arguments.arguments`."""
    pool, width = args["global_pool"], args["embed_dim"] * args["num_heads"]
    if pool == "map":
        raise InputError("global_pool='map' is not supported, a ConViT has only 'token', 'avg' and ''")
    return ConvitConfig(
        image_size=image_size(args),
        patch_size=pair(args["patch_size"]),
        width=width,
        depth=args["depth"],
        heads=args["num_heads"],
        mlp_width=int(width * args["mlp_ratio"]),
        classes=args["num_classes"] if pool else 0,
        pool=POOLS[pool or "token"],
        qkv_bias=args["qkv_bias"],
        local=args["local_up_to_layer"],
        preprocess=preprocess(args, channels),
    )


def convit_table(config: ConvitConfig) -> list[Rule]:
    """Lists the rules; the first blocks have q and k in one layer, v in another, and what makes them local."""
    theirs, ours, q_and_k = "blocks.{i}.attn", "blocks.attn", range(2)
    return [
        *patch_conv("patch_embed.proj", "patch", config.patch_size),
        *same("cls_token", "prefix", leading=1),
        *same("pos_embed", "position", leading=1),
        Rule(f"{theirs}.qk.weight", f"{ours}.qkv.kernel", KERNEL, (1, q_and_k)),
        Rule(f"{theirs}.v.weight", f"{ours}.qkv.kernel", KERNEL, (1, 2)),
        Rule(f"{theirs}.qk.bias", f"{ours}.qkv.bias", FLAT, (0, q_and_k)),
        Rule(f"{theirs}.v.bias", f"{ours}.qkv.bias", FLAT, (0, 2)),
        *linear(f"{theirs}.pos_proj", f"{ours}.gate.places"),
        *same(f"{theirs}.gating_param", f"{ours}.gate.gate"),
        *block_rules("blocks.{i}", "blocks"),
        *norm("norm", "norm"),
        *linear("head", "head"),
        *drop("*.rel_indices"),
        *([] if config.classes else drop("head.weight", "head.bias")),
    ]
