"""Tensors and `config.json` as timm keeps them on the hub in, a config and the model's arrays out.

Source of the facts: timm 1.0.31, `models/vision_transformer.py` and `models/deit.py`; see `timm_eva` and `convnets`
for the others.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vitjax.errors import InputError
from vitjax.models.core.config import ViTConfig
from vitjax.models.registry import Config
from vitjax.weights.families.timm import convnets
from vitjax.weights.families.timm.arguments import POOLS, arguments, image_size, is_convnet, is_eva, pair, preprocess
from vitjax.weights.families.timm.eva import attention_pool, eva_config, eva_rules
from vitjax.weights.formats.tensors import shapes_of
from vitjax.weights.rules.channels import channels_of
from vitjax.weights.rules.convert import convert, shapes
from vitjax.weights.rules.layouts import Rule, Shape, drop, linear, merge, norm, patch_conv, same
from vitjax.weights.rules.prefix_tokens import fold, unfolded
from vitjax.weights.rules.resize import Resampling


def port(tensors: Mapping[str, np.ndarray], config_json: Mapping[str, Any]) -> tuple[Config, dict[str, np.ndarray]]:
    """Turns a checkpoint of timm into what `vitjax.weights.rules.convert.build` takes.

    Args:
        tensors: {timm's name: tensor}.
        config_json: the checkpoint's `config.json`, parsed.

    Returns:
        The config and its float32 arrays, for the checkpoint's own image size.

    Raises:
        InputError: an architecture, argument or tensor that does not fit, by name.
    """
    tensor_shapes = shapes_of(tensors)
    config = config_from_timm(config_json, tensor_shapes)
    if is_convnet(config_json):
        return config, convnets.port(tensors, config)
    return config, ported(tensors, config, config_json)


def ported(
    tensors: Mapping[str, np.ndarray], config: ViTConfig, config_json: Mapping[str, Any], more: Sequence[Rule] = ()
) -> dict[str, np.ndarray]:
    """The arrays of a Vision Transformer with this config; `more` is what its source has beside timm's tensors."""
    positions = shapes_of(tensors).get("pos_embed", ())
    covered = positions[1] - config.patches if len(positions) == 3 else 0
    table = eva_rules(config, arguments(config_json)) if is_eva(config_json) else rules(config)
    return fold(convert(tensors, [*table, *more], unfolded(shapes(config), config, covered)), config)


def rules(config: ViTConfig) -> list[Rule]:
    """The table of `VisionTransformer`; tokens before the patches come as `tokens.*` (see `prefix_tokens`)."""
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


def resampling(config_json: Mapping[str, Any]) -> Resampling:
    """How timm resamples this architecture's positions."""
    return Resampling("bilinear" if architecture(config_json).startswith("flexivit") else "bicubic")


def architecture(config_json: Mapping[str, Any]) -> str:
    """The architecture's name in timm, with what may stand after its dot."""
    return str(config_json["architecture"])


def config_from_timm(config_json: Mapping[str, Any], tensor_shapes: Mapping[str, Shape]) -> Config:
    """Reads the model's config off timm's `config.json` and holds it against the tensors.

    No pooling (`global_pool` empty) or no classes mean a model without a head.

    Raises:
        InputError: an unknown architecture, argument or value, or sizes that the tensors contradict.
    """
    if is_convnet(config_json):
        return convnets.config_from_timm(config_json, tensor_shapes)
    args, channels = arguments(config_json), channels_of(tensor_shapes, "patch_embed.proj.weight")
    config = eva_config(args, channels) if is_eva(config_json) else _plain_config(args, channels)
    _agree(config, 0 if args["no_embed_class"] else config.prefix, tensor_shapes)
    return config


def _plain_config(args: Mapping[str, Any], channels: int) -> ViTConfig:
    """The config of a `VisionTransformer`."""
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


def _agree(config: ViTConfig, covered: int, tensor_shapes: Mapping[str, Shape]) -> None:
    """Raises if a size in the tensors is not the config's, naming both."""
    blocks = {name.split(".")[1] for name in tensor_shapes if name.startswith("blocks.")}
    if blocks and len(blocks) != config.depth:
        raise InputError(f"the config says {config.depth} blocks, the tensors hold {len(blocks)}")
    sizes = [
        ("patch_embed.proj.weight", 0, "width (embed_dim)", config.width),
        ("patch_embed.proj.weight", 2, "patch height", config.patch_size[0]),
        ("patch_embed.proj.weight", 3, "patch width", config.patch_size[1]),
        ("blocks.0.mlp.fc1.weight", 0, "MLP width (mlp_ratio)", config.mlp_width * (1 + config.gated)),
        ("reg_token", 1, "number of registers (reg_tokens)", config.registers),
        ("pos_embed", 1, "number of positions (img_size, no_embed_class)", config.patches + covered),
        ("head.weight", 0, "number of classes", config.classes),
    ]
    for name, axis, what, said in sizes:
        shape = tensor_shapes.get(name, ())
        if axis < len(shape) and shape[axis] != said and said:
            raise InputError(f"the config says {what} {said}, but {name} has shape {tuple(shape)}")
