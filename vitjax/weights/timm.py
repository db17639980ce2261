"""Tensors and `config.json` as timm keeps them on the hub in, a `ViTConfig` and the model's arrays out.

Source of the facts: timm 1.0.31, `models/vision_transformer.py` and `models/deit.py`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from vitjax.errors import InputError
from vitjax.models.config import Preprocess, ViTConfig
from vitjax.weights.layouts import Rule, Shape, drop, linear, merge, norm, patch_conv, same
from vitjax.weights.resize import Resampling
from vitjax.weights.rules import convert, shapes
from vitjax.weights.timm_arguments import POOLS, PREPROCESS, arguments
from vitjax.weights.tokens import fold, unfolded


def port(tensors: Mapping[str, np.ndarray], config_json: Mapping[str, Any]) -> tuple[ViTConfig, dict[str, np.ndarray]]:
    """Turns a checkpoint of timm into what `vitjax.weights.rules.build` takes.

    Args:
        tensors: {timm's name: tensor}.
        config_json: the checkpoint's `config.json`, parsed.

    Returns:
        The config and its float32 arrays, for the checkpoint's own image size.

    Raises:
        InputError: an architecture, argument or tensor that does not fit, by name.
    """
    config = config_from_timm(config_json, {name: tensor.shape for name, tensor in tensors.items()})
    table = tensors["pos_embed"].shape if "pos_embed" in tensors else ()
    covered = table[1] - config.patches if len(table) == 3 else 0
    return config, fold(convert(tensors, rules(config), unfolded(shapes(config), config, covered)), config)


def rules(config: ViTConfig) -> list[Rule]:
    """The rule table; the tokens before the patches come as `tokens.*`, see `vitjax.weights.tokens`."""
    return [
        *patch_conv("patch_embed.proj", "patch", config.patch_size),
        *same("cls_token", "tokens.class", leading=1),
        *same("dist_token", "tokens.distill", leading=1),
        *same("reg_token", "tokens.registers", leading=1),
        *same("pos_embed", "tokens.position", leading=1),
        *norm("norm_pre", "pre_norm"),
        *norm("blocks.{i}.norm1", "blocks.norm1"),
        *linear("blocks.{i}.attn.qkv", "blocks.attn.qkv"),
        *merge("blocks.{i}.attn.proj", "blocks.attn.proj"),
        *same("blocks.{i}.ls1.gamma", "blocks.scale1"),
        *same("blocks.{i}.gamma_1", "blocks.scale1"),  # DeiT III as first published
        *norm("blocks.{i}.norm2", "blocks.norm2"),
        *linear("blocks.{i}.mlp.fc1", "blocks.mlp.fc1"),
        *linear("blocks.{i}.mlp.fc2", "blocks.mlp.fc2"),
        *same("blocks.{i}.ls2.gamma", "blocks.scale2"),
        *same("blocks.{i}.gamma_2", "blocks.scale2"),
        *norm("fc_norm" if config.final_norm == "pooled" else "norm", "norm"),
        *same("attn_pool.latent", "pool.latent", leading=2),
        *linear("attn_pool.q", "pool.q"),
        *linear("attn_pool.kv", "pool.kv"),
        *merge("attn_pool.proj", "pool.proj"),
        *norm("attn_pool.norm", "pool.norm"),
        *linear("attn_pool.mlp.fc1", "pool.mlp.fc1"),
        *linear("attn_pool.mlp.fc2", "pool.mlp.fc2"),
        *linear("head", "head"),
        *linear("head_dist", "head_distilled"),
        # timm leaves these out as well: DINOv2's mask, a layer of early checkpoints, the head of a headless model.
        *drop("mask_token", "pre_logits.fc.weight", "pre_logits.fc.bias"),
        *([] if config.classes else drop("head.weight", "head.bias", "head_dist.weight", "head_dist.bias")),
    ]


def resampling(config_json: Mapping[str, Any]) -> Resampling:
    """How timm resamples this architecture's positions."""
    return Resampling("bilinear" if architecture(config_json).startswith("flexivit") else "bicubic")


def architecture(config_json: Mapping[str, Any]) -> str:
    """The architecture's name in timm, with what may stand after its dot."""
    return str(config_json["architecture"])


def config_from_timm(config_json: Mapping[str, Any], tensor_shapes: Mapping[str, Shape]) -> ViTConfig:
    """Reads the model's config off timm's `config.json` and holds it against the tensors.

    No pooling (`global_pool` empty) or no classes mean a model without a head.

    Raises:
        InputError: an unknown architecture, argument or value, or sizes that the tensors contradict.
    """
    args = arguments(config_json)
    patch, pool = _pair(args["patch_size"]), args["global_pool"]
    after_pool = pool == "avg" if args["fc_norm"] is None else args["fc_norm"]
    preprocess = {ours: args[theirs] for theirs, ours in PREPROCESS.items()}
    config = ViTConfig(
        # A convolution leaves out the pixels beyond the last whole patch.
        image_size=tuple(side - side % p for side, p in zip(_pair(args["img_size"]), patch, strict=True)),
        patch_size=patch,
        width=args["embed_dim"],
        depth=args["depth"],
        heads=args["num_heads"],
        mlp_width=int(args["embed_dim"] * args["mlp_ratio"]),
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
        activation=args["act_layer"],
        norm_eps=args["norm_eps"],
        preprocess=Preprocess(**preprocess | {name: tuple(preprocess[name]) for name in ("mean", "std")}),
    )
    _agree(config, 0 if args["no_embed_class"] else config.prefix, tensor_shapes)
    return config


def _agree(config: ViTConfig, covered: int, tensor_shapes: Mapping[str, Shape]) -> None:
    """Raises if a size in the tensors is not the config's, naming both."""
    blocks = {name.split(".")[1] for name in tensor_shapes if name.startswith("blocks.")}
    if blocks and len(blocks) != config.depth:
        raise InputError(f"the config says {config.depth} blocks, the tensors hold {len(blocks)}")
    sizes = [
        ("patch_embed.proj.weight", 0, "width (embed_dim)", config.width),
        ("patch_embed.proj.weight", 2, "patch height", config.patch_size[0]),
        ("patch_embed.proj.weight", 3, "patch width", config.patch_size[1]),
        ("blocks.0.mlp.fc1.weight", 0, "MLP width (mlp_ratio)", config.mlp_width),
        ("reg_token", 1, "number of registers (reg_tokens)", config.registers),
        ("pos_embed", 1, "number of positions (img_size, no_embed_class)", config.patches + covered),
        ("head.weight", 0, "number of classes", config.classes),
    ]
    for name, axis, what, said in sizes:
        shape = tensor_shapes.get(name, ())
        if axis < len(shape) and shape[axis] != said and said:
            raise InputError(f"the config says {what} {said}, but {name} has shape {tuple(shape)}")


def _pair(size: int | list[int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (size[0], size[1])
