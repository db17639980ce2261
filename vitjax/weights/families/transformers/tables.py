"""The rule tables of Hugging Face transformers: one for each way in which its Vision Transformers name their tensors.

Files on the hub have the names of transformers 4, which version 5 still writes; both spellings are known. Source of
the facts: transformers 5.23, `models/*/modeling_*.py`, and what `save_pretrained` writes. Each table takes the model's
config, the settings of its `config.json` and the prefix of the image tower's tensors.
"""

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np

from vitjax.models.core.config import ViTConfig
from vitjax.weights.rules.layouts import FLAT, Layout, Rule, drop, linear, merge, norm, patch_conv, same, split, zeros

BIASES = ("query_bias", "key_bias", "value_bias")
_BIAS = "blocks.attn.qkv.bias"


def vit(config: ViTConfig, settings: Mapping[str, Any], p: str) -> list[Rule]:
    """ViT, DeiT and the encoder of ViT-MAE."""
    return [
        *_embeddings(config, p),
        *same(f"{p}embeddings.distillation_token", "tokens.distill" if config.distilled else "tokens.registers", 1),
        *_vit_blocks(p),
        *norm(f"{p}layernorm", "norm"),
        *linear(f"{p}pooler.dense", "pre_logits"),
        *linear("cls_classifier" if config.distilled else "classifier", "head"),
        *linear("distillation_classifier", "head_distilled"),
        *drop(f"{p}embeddings.mask_token", "decoder.*"),
    ]


def beit(config: ViTConfig, settings: Mapping[str, Any], p: str) -> list[Rule]:
    """BEiT and BEiT v2; of a table of distances that all blocks share, each gets a copy."""
    old, new = f"{p}encoder.layer.{{i}}.", f"{p}layers.{{i}}."
    table = "relative_position_bias.relative_position_bias_table"
    shared = Layout(lambda ours: ours[1:], lambda table: np.broadcast_to(table, (config.depth, *table.shape)))
    pooled, own = config.final_norm == "pooled", not settings["use_mean_pooling"]
    return [
        *_embeddings(config, p),
        *([] if settings["use_absolute_position_embeddings"] else zeros("tokens.position")),
        *_vit_blocks(p),
        *zeros(_BIAS, (0, 1)),
        *(same(f"{old}attention.attention.{table}", "blocks.attn.bias.distances")),
        *(same(f"{new}{table}", "blocks.attn.bias.distances")),
        Rule(f"{p}encoder.{table}", "blocks.attn.bias.distances", shared),
        Rule(f"{p}shared_position_bias.relative_position_bias_table", "blocks.attn.bias.distances", shared),
        *(
            rule
            for start in (old, new)
            for part in (1, 2)
            for rule in same(f"{start}lambda_{part}", f"blocks.scale{part}")
        ),
        *norm(f"{p}pooler.layernorm" if pooled else f"{p}layernorm" if own else "layernorm", "norm"),
        *linear("classifier", "head"),
        *drop(f"{p}embeddings.mask_token", "lm_head.weight", "lm_head.bias"),
        *(drop("layernorm.weight", "layernorm.bias") if own and p else []),  # of the head that guesses hidden patches
    ]


def dino(config: ViTConfig, settings: Mapping[str, Any], p: str) -> list[Rule]:
    """DINOv2, with and without registers, and DINOv3."""
    return [
        *_embeddings(config, p),
        *patch_conv("embeddings.patch_embeddings", "patch", config.patch_size),  # DINOv3
        *same(f"{p}embeddings.register_tokens", "tokens.registers", 1),
        *(zeros("tokens.position") if config.rotary else []),
        *(
            rule
            for name in ("encoder.layer.{i}.", "layer.{i}.", "model.layer.{i}.")
            for rule in _dino_block(config, p + name)
        ),
        *(rule for part, bias in enumerate(BIASES) if not settings.get(bias, True) for rule in zeros(_BIAS, (0, part))),
        *norm("norm" if config.rotary else f"{p}layernorm", "norm"),
        *linear("classifier", "head"),
        *drop(f"{p}embeddings.mask_token"),
        *([] if config.registers else drop(f"{p}embeddings.register_tokens")),  # DINOv3 writes none as an empty tensor
    ]


def clip(config: ViTConfig, settings: Mapping[str, Any], p: str) -> list[Rule]:
    """The image towers of CLIP, SigLIP and SigLIP 2, alone or beside their text towers."""
    patches = f"{p}embeddings.patch_embedding"
    return [
        # SigLIP 2 has its patches flattened before they come to it.
        *(linear(patches, "patch") if "num_patches" in settings else patch_conv(patches, "patch", config.patch_size)),
        Rule(f"{p}embeddings.class_embedding", "tokens.class", FLAT),
        *same(f"{p}embeddings.position_embedding.weight", "tokens.position"),
        *norm(f"{p}pre_layrnorm", "pre_norm"),
        *clip_blocks(p),
        *norm(f"{p}post_layernorm", "norm"),
        *same(f"{p}head.probe", "pool.latent", 2),
        *_packed(f"{p}head.attention.in_proj", "pool.q", slice(0, 1)),
        *_packed(f"{p}head.attention.in_proj", "pool.kv", slice(1, 3)),
        *merge(f"{p}head.attention.out_proj", "pool.proj"),
        *norm(f"{p}head.layernorm", "pool.norm"),
        *linear(f"{p}head.mlp.fc1", "pool.mlp.fc1"),
        *linear(f"{p}head.mlp.fc2", "pool.mlp.fc2"),
        *linear("visual_projection", "projection"),
        *linear("classifier", "head"),
        # The text tower, and what a classifier on the mean of the patches leaves unused.
        *drop("text_model.*", "text_projection.weight", "logit_scale", "logit_bias", f"{p}embeddings.position_ids"),
        *(drop("visual_projection.weight", f"{p}head.*") if config.classes else []),
        *(drop(f"{p}post_layernorm.weight", f"{p}post_layernorm.bias") if config.final_norm == "none" else []),
    ]


def clip_blocks(p: str) -> list[Rule]:
    """The blocks of CLIP's and SigLIP's towers, whose names begin with `p`."""
    block = f"{p}encoder.layers.{{i}}."
    return [
        *norm(f"{block}layer_norm1", "blocks.norm1"),
        *split([f"{block}self_attn.{name}_proj" for name in "qkv"], "blocks.attn.qkv"),
        *merge(f"{block}self_attn.out_proj", "blocks.attn.proj"),
        *norm(f"{block}layer_norm2", "blocks.norm2"),
        *linear(f"{block}mlp.fc1", "blocks.mlp.fc1"),
        *linear(f"{block}mlp.fc2", "blocks.mlp.fc2"),
    ]


def _embeddings(config: ViTConfig, p: str) -> list[Rule]:
    return [
        *patch_conv(f"{p}embeddings.patch_embeddings.projection", "patch", config.patch_size),
        *same(f"{p}embeddings.cls_token", "tokens.class", 1),
        *same(f"{p}embeddings.position_embeddings", "tokens.position", 1),
    ]


def _vit_blocks(p: str) -> list[Rule]:
    """A block's norms, attention and MLP, as transformers 4 named them and as version 5 does."""
    old, new = f"{p}encoder.layer.{{i}}.", f"{p}layers.{{i}}."
    return [
        *(rule for start in (old, new) for rule in norm(f"{start}layernorm_before", "blocks.norm1")),
        *split([f"{old}attention.attention.{name}" for name in ("query", "key", "value")], "blocks.attn.qkv"),
        *split([f"{new}attention.{name}_proj" for name in "qkv"], "blocks.attn.qkv"),
        *merge(f"{old}attention.output.dense", "blocks.attn.proj"),
        *merge(f"{new}attention.o_proj", "blocks.attn.proj"),
        *(rule for start in (old, new) for rule in norm(f"{start}layernorm_after", "blocks.norm2")),
        *linear(f"{old}intermediate.dense", "blocks.mlp.fc1"),
        *linear(f"{new}mlp.fc1", "blocks.mlp.fc1"),
        *linear(f"{old}output.dense", "blocks.mlp.fc2"),
        *linear(f"{new}mlp.fc2", "blocks.mlp.fc2"),
    ]


def _dino_block(config: ViTConfig, start: str) -> list[Rule]:
    """A block of DINOv2 or DINOv3, whose names begin with `start`."""
    mlp = [
        *linear(f"{start}mlp.fc1", "blocks.mlp.fc1"),
        *linear(f"{start}mlp.up_proj", "blocks.mlp.fc1"),
        *linear(f"{start}mlp.fc2", "blocks.mlp.fc2"),
        *linear(f"{start}mlp.down_proj", "blocks.mlp.fc2"),
    ]
    gated = [
        *linear(f"{start}mlp.weights_in", "blocks.mlp.fc1"),
        *split([f"{start}mlp.gate_proj", f"{start}mlp.up_proj"], "blocks.mlp.fc1"),
        *linear(f"{start}mlp.weights_out", "blocks.mlp.fc2"),
        *linear(f"{start}mlp.down_proj", "blocks.mlp.fc2"),
    ]
    return [
        *norm(f"{start}norm1", "blocks.norm1"),
        *split([f"{start}attention.attention.{name}" for name in ("query", "key", "value")], "blocks.attn.qkv"),
        *split([f"{start}attention.{name}_proj" for name in "qkv"], "blocks.attn.qkv"),
        *merge(f"{start}attention.output.dense", "blocks.attn.proj"),
        *merge(f"{start}attention.o_proj", "blocks.attn.proj"),
        *same(f"{start}layer_scale1.lambda1", "blocks.scale1"),
        *norm(f"{start}norm2", "blocks.norm2"),
        *(gated if config.gated else mlp),
        *same(f"{start}layer_scale2.lambda1", "blocks.scale2"),
    ]


def _packed(source: str, target: str, thirds: slice) -> list[Rule]:
    """Some thirds of a dense layer that torch packs as [q, k, v]."""
    count = thirds.stop - thirds.start
    third = lambda tensor: tensor.reshape(3, -1, *tensor.shape[1:])[thirds].reshape(-1, *tensor.shape[1:])
    kernel = Layout(lambda ours: (3 * ours[0], ours[0]), lambda tensor: third(tensor).T)
    bias = Layout(lambda ours: (3 * prod(ours) // count,), third)
    return [Rule(f"{source}_weight", f"{target}.kernel", kernel), Rule(f"{source}_bias", f"{target}.bias", bias)]
