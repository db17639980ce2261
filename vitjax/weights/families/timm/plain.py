"""timm's `VisionTransformer`: its config by timm's arguments, and its rule table.

Source of the facts: timm 1.0.31, `models/vision_transformer.py` and `models/deit.py`.
"""

from collections.abc import Mapping
from typing import Any

from vitjax.models.core.config import ViTConfig
from vitjax.weights.families.timm.arguments import POOLS, image_size, pair, preprocess
from vitjax.weights.families.timm.eva import attention_pool
from vitjax.weights.rules.layouts import Rule, drop, linear, merge, norm, patch_conv, same


def plain_config(args: Mapping[str, Any], channels: int) -> ViTConfig:
    """Reads the model's config off the arguments of `vitjax.weights.families.timm.arguments.arguments`."""
    pool, gated = args["global_pool"], args["mlp_layer"] == "swiglu"
    after_pool = pool == "avg" if args["fc_norm"] is None else args["fc_norm"]
    return ViTConfig(
        image_size=image_size(args),
        patch_size=pair(args["patch_size"]),
        width=args["embed_dim"],
        depth=args["depth"],
        heads=args["num_heads"],
        mlp_width=int(args["embed_dim"] * args["mlp_ratio"]) // (1 + gated),
        classes=args["num_classes"] if pool else 0,
        class_token=args["class_token"],
        distilled=args["distilled"],
        registers=args["reg_tokens"],
        pool=POOLS[pool] if pool else "token" if args["class_token"] else "mean",
        pool_prefix=args["pool_include_prefix"],
        final_norm="none" if not args["final_norm"] else "pooled" if after_pool else "tokens",
        pre_norm=args["pre_norm"],
        layer_scale=bool(args["init_values"]),
        patch_bias=not args["pre_norm"],
        qkv_bias=args["qkv_bias"],
        qk_norm=args["qk_norm"],
        attn_norm=args["scale_attn_norm"],
        mlp_norm=args["scale_mlp_norm"],
        gated=gated,
        activation=args["act_layer"],
        norm_eps=args["norm_eps"],
        preprocess=preprocess(args, channels),
    )


def table(config: ViTConfig) -> list[Rule]:
    """Lists the rules; tokens before the patches come as `tokens.*` (see `prefix_tokens`)."""
    return [
        *patch_conv("patch_embed.proj", "patch", config.patch_size),
        *same("cls_token", "tokens.class", leading=1),
        *same("dist_token", "tokens.distill", leading=1),
        *same("reg_token", "tokens.registers", leading=1),
        *same("pos_embed", "tokens.position", leading=1),
        *norm("norm_pre", "pre_norm"),
        *norm("blocks.{i}.norm1", "blocks.norm1"),
        *linear("blocks.{i}.attn.qkv", "blocks.attn.qkv"),
        *norm("blocks.{i}.attn.q_norm", "blocks.attn.q_norm"),
        *norm("blocks.{i}.attn.k_norm", "blocks.attn.k_norm"),
        *norm("blocks.{i}.attn.norm", "blocks.attn.norm"),
        *merge("blocks.{i}.attn.proj", "blocks.attn.proj"),
        *same("blocks.{i}.ls1.gamma", "blocks.scale1"),
        *same("blocks.{i}.gamma_1", "blocks.scale1"),  # DeiT III as first published
        *norm("blocks.{i}.norm2", "blocks.norm2"),
        *linear("blocks.{i}.mlp.fc1", "blocks.mlp.fc1"),
        *norm("blocks.{i}.mlp.norm", "blocks.mlp.norm"),
        *linear("blocks.{i}.mlp.fc2", "blocks.mlp.fc2"),
        *same("blocks.{i}.ls2.gamma", "blocks.scale2"),
        *same("blocks.{i}.gamma_2", "blocks.scale2"),
        *norm("fc_norm" if config.final_norm == "pooled" else "norm", "norm"),
        *attention_pool(),
        *linear("head", "head"),
        *linear("head_dist", "head_distilled"),
        # timm leaves these out as well: DINOv2's mask, a layer of early checkpoints, the head of a headless model.
        *drop("mask_token", "pre_logits.fc.weight", "pre_logits.fc.bias"),
        *([] if config.classes else drop("head.weight", "head.bias", "head_dist.weight", "head_dist.bias")),
    ]
