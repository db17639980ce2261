"""timm's PiT: its config by timm's arguments, and its rule table.

Source of the facts: timm 1.0.31, `models/pit.py`.
"""

from collections.abc import Mapping
from typing import Any

from vitjax.errors import InputError
from vitjax.models.hierarchical.pit import PitConfig
from vitjax.weights.families.family import Shapes
from vitjax.weights.families.timm.arguments import pair, preprocess
from vitjax.weights.families.timm.hierarchical.stage_rules import block_rules
from vitjax.weights.families.timm.model_class import ModelClass
from vitjax.weights.rules.channels import channels_of
from vitjax.weights.rules.layouts import FLAT, Layout, Rule, conv, drop, linear, norm, patch_conv, same

PIT_MARK = "patch_embed.conv.weight"


def pit_config(args: Mapping[str, Any], shapes: Shapes) -> PitConfig:
    """Reads the model's config off the arguments of `vitjax.weights.families.timm.arguments.arguments`."""
    if (pool := args["global_pool"]) not in ("token", ""):
        raise InputError(f"global_pool={pool!r} is not supported, a PiT has only 'token' and ''")
    widths = tuple(base * heads for base, heads in zip(args["base_dims"], args["heads"], strict=True))
    return PitConfig(
        image_size=pair(args["img_size"]),
        patch_size=pair(args["patch_size"]),
        stride=pair(args["stride"]),
        widths=widths,
        depths=tuple(args["depth"]),
        heads=tuple(args["heads"]),
        mlp_widths=tuple(int(width * args["mlp_ratio"]) for width in widths),
        classes=args["num_classes"] if pool else 0,
        distilled=args["distilled"],
        preprocess=preprocess(args, channels_of(shapes, PIT_MARK)),
    )


def pit_table(config: PitConfig) -> list[Rule]:
    """Lists the rules; of pooling also by the names that it had in files before timm 0.9."""
    grid = config.grids[0]
    on_grid = Layout(lambda ours: (1, ours[1], *grid), lambda tensor: tensor.reshape(tensor.shape[1], -1).T)
    rules = [
        *patch_conv("patch_embed.conv", "patch", config.patch_size),
        Rule("pos_embed", "position", on_grid),
        *same("cls_token", "prefix", leading=1),
    ]
    for stage in range(len(config.widths)):
        rules += block_rules(f"transformers.{stage}.blocks.{{i}}", f"stages.{stage}.blocks")
        for theirs in (f"transformers.{stage}.pool", f"pools.{stage - 1}") if stage else ():
            rules += [
                *conv(f"{theirs}.conv", f"stages.{stage}.pool.conv"),
                Rule(f"{theirs}.conv.bias", f"stages.{stage}.pool.conv.bias", FLAT),
                *linear(f"{theirs}.fc", f"stages.{stage}.pool.dense"),
            ]
    heads = ("head", "head_dist")
    return [
        *rules,
        *norm("norm", "norm"),
        *linear("head", "head"),
        *linear("head_dist", "head_distilled"),
        *([] if config.classes else drop(*(f"{head}.{part}" for head in heads for part in ("weight", "bias")))),
    ]


PIT_CLASS = ModelClass(pit_config, lambda config, args: pit_table(config), mark=PIT_MARK)
