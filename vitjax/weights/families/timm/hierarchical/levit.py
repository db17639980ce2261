"""timm's LeViT: its config by timm's arguments, its batch norms folded away, and its rule table.

Source of the facts: timm 1.0.31, `models/levit.py`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from vitjax.errors import InputError
from vitjax.models.hierarchical.levit import LevitConfig
from vitjax.weights.families.family import Shapes
from vitjax.weights.families.timm.arguments import pair, preprocess
from vitjax.weights.families.timm.model_class import ModelClass
from vitjax.weights.rules.batch_norms import folded
from vitjax.weights.rules.channels import channels_of
from vitjax.weights.rules.layouts import CONV, KERNEL, Rule, dense, drop, linear, merge

LEVIT_MARK = "stem.conv1.linear.weight"
STEMS = {"s16": (16, 16), "s8": (8, 8)}  # pixels of a token


def levit_config(args: Mapping[str, Any], shapes: Shapes) -> LevitConfig:
    """Reads the model's config off the arguments of `vitjax.weights.families.timm.arguments.arguments`.

    Raises:
        InputError: a pooling that there is not.
    """
    if args["global_pool"] not in ("avg", ""):
        raise InputError(f"global_pool={args['global_pool']!r} is not supported for this model, only 'avg'")
    widths = tuple(args["embed_dim"])
    return LevitConfig(
        image_size=pair(args["img_size"]),
        patch_size=STEMS[args["stem_type"]],
        widths=widths,
        depths=tuple(args["depth"]),
        heads=tuple(args["num_heads"]),
        mlp_widths=tuple(int(width * args["mlp_ratio"]) for width in widths),
        key_width=args["key_dim"],
        activation=args["act_layer"],
        distilled=args["distilled"],
        classes=args["num_classes"] if args["global_pool"] else 0,
        preprocess=preprocess(args, channels_of(shapes, LEVIT_MARK)),
    )


def levit_tensors(tensors: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
    """Gives the tensors without batch norms, convolutions of one place as matrices."""
    return folded(tensors, "bn", ("linear",))


def levit_table(config: LevitConfig) -> list[Rule]:
    """Lists the rules; a head's layer that gives q, k and v has [q, k, v] of its own."""
    stem = [dense(f"stem.conv{i + 1}.linear", f"stem.{i}", CONV) for i in range(len(config.stem))]
    rules = [rule for layer in stem for rule in layer]
    for stage in range(len(config.widths)):
        theirs, ours = f"stages.{stage}.blocks.{{i}}", f"stages.{stage}.blocks"
        down, merged = f"stages.{stage}.downsample", f"stages.{stage}.down"
        rules += [
            *linear(f"{theirs}.attn.qkv.linear", f"{ours}.attn.qkv"),
            *_rest(f"{theirs}.attn", f"{ours}.attn"),
            *_mlp(f"{theirs}.mlp", f"{ours}.mlp"),
            *linear(f"{down}.attn_downsample.q.ln.linear", f"{merged}.attn.q"),
            *linear(f"{down}.attn_downsample.kv.linear", f"{merged}.attn.kv"),
            *_rest(f"{down}.attn_downsample", f"{merged}.attn"),
            *_mlp(f"{down}.mlp", f"{merged}.mlp"),
        ]
    return [
        *rules,
        *linear("head.linear", "head"),
        *linear("head_dist.linear", "head_distilled"),
        *drop("*.num_batches_tracked", "*.attention_bias_idxs"),
        *([] if config.classes else drop("head.*", "head_dist.*")),
    ]


def _rest(theirs: str, ours: str) -> list[Rule]:
    return [
        Rule(f"{theirs}.attention_biases", f"{ours}.bias.distances", KERNEL),
        *merge(f"{theirs}.proj.ln.linear", f"{ours}.proj"),
    ]


def _mlp(theirs: str, ours: str) -> list[Rule]:
    return [*linear(f"{theirs}.ln1.linear", f"{ours}.fc1"), *linear(f"{theirs}.ln2.linear", f"{ours}.fc2")]


LEVIT_CLASS = ModelClass(
    levit_config,
    lambda config, args: levit_table(config),
    tensors=lambda tensors, args: levit_tensors(tensors),
    mark=LEVIT_MARK,
)
