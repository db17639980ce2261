"""timm's `Eva` and `Beit`: their configs by timm's arguments, and their rule table.

Source of the facts: timm 1.0.31, `models/eva.py` and `models/beit.py`.
"""

from collections.abc import Mapping
from typing import Any

from vitjax.errors import InputError
from vitjax.models.core.config import Rotary, ViTConfig
from vitjax.weights.families.timm.arguments import POOLS, image_size, pair, preprocess
from vitjax.weights.rules.layouts import FLAT, Rule, drop, linear, merge, norm, patch_conv, same, split, zeros

_Q, _K, _V = ((0, part) for part in range(3))


def eva_config(args: Mapping[str, Any], channels: int) -> ViTConfig:
    """Reads the model's config off the arguments of `vitjax.weights.families.timm.arguments.arguments`.

    Raises:
        InputError: arguments that do not go together here.
    """
    pool, hidden = args["global_pool"], int(args["embed_dim"] * args["mlp_ratio"])
    after_pool = pool == "avg" if args["use_fc_norm"] is None else args["use_fc_norm"]
    before_pool = args["use_post_transformer_norm"]
    before_pool = not after_pool if before_pool is None else before_pool
    if after_pool and before_pool:
        raise InputError("a LayerNorm before the pooling and one after it are not supported together")
    if pool == "map" and args["attn_pool_mlp_ratio"] not in (None, args["mlp_ratio"]):
        raise InputError("attn_pool_mlp_ratio is not supported, only the blocks' own mlp_ratio")
    return ViTConfig(
        image_size=image_size(args),
        patch_size=pair(args["patch_size"]),
        width=args["embed_dim"],
        depth=args["depth"],
        heads=args["num_heads"],
        mlp_width=hidden + -hidden % (args["swiglu_align_to"] or 1) if args["swiglu_mlp"] else hidden,
        classes=args["num_classes"] if pool else 0,
        class_token=args["class_token"],
        registers=args["num_reg_tokens"],
        pool=POOLS[pool] if pool else "token" if args["class_token"] else "mean",
        pool_heads=(args["attn_pool_num_heads"] or 0) if pool == "map" else 0,
        pool_prefix=pool == "map",
        final_norm="pooled" if after_pool else "tokens" if before_pool else "none",
        pre_norm=args["use_pre_transformer_norm"],
        layer_scale=bool(args["init_values"]),
        patch_bias=not args["use_pre_transformer_norm"],
        qkv_bias=args["qkv_bias"],
        qk_norm=args["qk_norm"],
        attn_norm=args["scale_attn_inner"],
        mlp_norm=args["scale_mlp"],
        gated=args["swiglu_mlp"],
        rotary=_rotary(args) if args["use_rot_pos_emb"] else None,
        relative_bias=args["use_rel_pos_bias"],
        activation="silu" if args["swiglu_mlp"] else "gelu",
        norm_eps=args["norm_eps"],
        preprocess=preprocess(args, channels),
    )


def eva_table(config: ViTConfig, args: Mapping[str, Any]) -> list[Rule]:
    """Lists the rules; k has no bias in timm but in blocks of the type "rope"."""
    attn, mlp = "blocks.{i}.attn", "blocks.{i}.mlp"
    return [
        *patch_conv("patch_embed.proj", "patch", config.patch_size),
        *same("cls_token", "tokens.class", leading=1),
        *same("reg_token", "tokens.registers", leading=1),
        *(same("pos_embed", "tokens.position", leading=1) if args["use_abs_pos_emb"] else zeros("tokens.position")),
        *norm("norm_pre", "pre_norm"),
        *norm("blocks.{i}.norm1", "blocks.norm1"),
        *linear(f"{attn}.qkv", "blocks.attn.qkv"),
        *split([f"{attn}.{name}_proj" for name in "qkv"], "blocks.attn.qkv"),
        Rule(f"{attn}.q_bias", "blocks.attn.qkv.bias", FLAT, _Q),
        Rule(f"{attn}.v_bias", "blocks.attn.qkv.bias", FLAT, _V),
        *(zeros("blocks.attn.qkv.bias", _K) if args["attn_type"] == "eva" else []),
        *norm(f"{attn}.q_norm", "blocks.attn.q_norm"),
        *norm(f"{attn}.k_norm", "blocks.attn.k_norm"),
        *norm(f"{attn}.norm", "blocks.attn.norm"),
        *same(f"{attn}.relative_position_bias_table", "blocks.attn.bias.distances"),
        *merge(f"{attn}.proj", "blocks.attn.proj"),
        *same("blocks.{i}.gamma_1", "blocks.scale1"),
        *norm("blocks.{i}.norm2", "blocks.norm2"),
        *linear(f"{mlp}.fc1", "blocks.mlp.fc1"),
        *(split([f"{mlp}.fc1_g", f"{mlp}.fc1_x"], "blocks.mlp.fc1") if config.gated else []),
        *norm(f"{mlp}.norm", "blocks.mlp.norm"),
        *linear(f"{mlp}.fc2", "blocks.mlp.fc2"),
        *same("blocks.{i}.gamma_2", "blocks.scale2"),
        *norm("fc_norm" if config.final_norm == "pooled" else "norm", "norm"),
        *attention_pool(),
        *linear("head", "head"),
        *drop("mask_token", "*relative_position_index"),
        *([] if config.classes else drop("head.weight", "head.bias")),
    ]


def attention_pool() -> list[Rule]:
    """Lists the rules of the head that pools by attention (timm's `AttentionPoolLatent`)."""
    return [
        *same("attn_pool.latent", "pool.latent", leading=2),
        *linear("attn_pool.q", "pool.q"),
        *linear("attn_pool.kv", "pool.kv"),
        *merge("attn_pool.proj", "pool.proj"),
        *norm("attn_pool.norm", "pool.norm"),
        *linear("attn_pool.mlp.fc1", "pool.mlp.fc1"),
        *linear("attn_pool.mlp.fc2", "pool.mlp.fc2"),
    ]


def _rotary(args: Mapping[str, Any]) -> Rotary:
    centred = args["rope_type"] == "dinov3"
    return Rotary(
        temperature=args["rope_temperature"],
        centred=centred,
        reference=pair(args["ref_feat_shape"]) if args["ref_feat_shape"] and not centred else None,
        offset=args["rope_grid_offset"],
        halves=args["rope_rotate_half"],
        columns_first=args["rope_grid_indexing"] == "xy",
    )
