"""timm's CoaT: its config by timm's arguments, and its rule table, which the files of the authors keep to as well.

Source of the facts: timm 1.0.31, `models/coat.py`.
"""

from collections.abc import Mapping
from typing import Any

from vitjax.errors import InputError
from vitjax.models.hierarchical.coat import STAGES, CoatConfig
from vitjax.weights.families.family import Shapes
from vitjax.weights.families.timm.arguments import image_size, pair, preprocess
from vitjax.weights.families.timm.hierarchical.stage_rules import block_rules, mlp_rules
from vitjax.weights.families.timm.model_class import ModelClass
from vitjax.weights.rules.channels import channels_of
from vitjax.weights.rules.layouts import (
    CONV,
    Layout,
    Rule,
    dense,
    drop,
    linear,
    merge,
    norm,
    patch_conv,
    repeated,
    same,
)

MARK = "patch_embed1.proj.weight"
SCALES = (2, 3, 4)  # those that run side by side, counted from 1
CONVOLUTIONS = range(3)  # of the relative positions, one for each size of kernel
MIXTURE = Layout(lambda ours: (1, ours[0], 1))  # of class tokens, a convolution with scales as its channels


def coat_config(args: Mapping[str, Any], shapes: Shapes) -> CoatConfig:
    """Reads the model's config off the arguments of `vitjax.weights.families.timm.arguments.arguments`.

    Raises:
        InputError: another pooling than that of class tokens, or a model without biases.
    """
    if args["global_pool"] not in ("token", ""):
        raise InputError(f"global_pool={args['global_pool']!r} is not supported for this model, only 'token'")
    if not args["qkv_bias"]:
        raise InputError("qkv_bias=False is not supported for this model")
    return CoatConfig(
        image_size=image_size(args),
        patch_size=pair(args["patch_size"]),
        widths=tuple(args["embed_dims"]),
        depths=tuple(args["serial_depths"]),
        heads=(args["num_heads"],) * len(args["embed_dims"]),
        mlp_widths=tuple(
            int(width * ratio) for width, ratio in zip(args["embed_dims"], args["mlp_ratios"], strict=True)
        ),
        classes=args["num_classes"] if args["global_pool"] else 0,
        parallel=args["parallel_depth"],
        preprocess=preprocess(args, channels_of(shapes, MARK)),
    )


def coat_table(config: CoatConfig) -> list[Rule]:
    """Lists the rules.

    The blocks of a scale share its convolutions, and parallel blocks an MLP between scales: files repeat these by the
    names of all who share them. Files of the authors also have norms, and a mixture of scales, that nothing uses.
    """
    rules = [*norm(f"norm{STAGES}", "norm"), *drop("norm1.*")]
    rules += linear("head", "head") if config.classes else drop("head.weight", "head.bias")
    for stage in range(STAGES):
        scale, ours = stage + 1, f"stages.{stage}"
        patch, size = ("patch", config.patch_size) if stage == 0 else (f"{ours}.step.patch", (2, 2))
        rules += [
            *patch_conv(f"patch_embed{scale}.proj", patch, size),
            *norm(f"patch_embed{scale}.norm", "patch_norm" if stage == 0 else f"{ours}.step.norm"),
            *same(f"cls_token{scale}", f"{ours}.token", leading=1),
            *dense(f"cpe{scale}.proj", f"{ours}.position.conv", CONV),
            *_crpe(scale, f"{ours}.relative"),
            *block_rules(f"serial_blocks{scale}.{{i}}", f"{ours}.blocks", called="factoratt_crpe"),
        ]
        for block in range(config.depths[stage]):
            rules += repeated(f"serial_blocks{scale}.{block}.cpe.proj", f"cpe{scale}.proj")
            rules += _repeated_crpe(f"serial_blocks{scale}.{block}.factoratt_crpe", scale)
    return [*rules, *(_parallel(config.parallel) if config.parallel else drop("norm2.*", "norm3.*", "aggregate.*"))]


def _parallel(depth: int) -> list[Rule]:
    """The rules of the parallel blocks, and of the class tokens' mixture."""
    theirs, ours = "parallel_blocks.{i}", f"stages.{STAGES}.blocks"
    rules = [*mlp_rules(f"{theirs}.mlp2", f"{ours}.mlp"), *dense("aggregate", "mix", MIXTURE)]
    for number, scale in enumerate(SCALES):
        rules += [
            *norm(f"{theirs}.norm1{scale}", f"{ours}.norm1.{number}"),
            *linear(f"{theirs}.factoratt_crpe{scale}.qkv", f"{ours}.attn.{number}.qkv"),
            *merge(f"{theirs}.factoratt_crpe{scale}.proj", f"{ours}.attn.{number}.proj"),
            *norm(f"{theirs}.norm2{scale}", f"{ours}.norm2.{number}"),
            *norm(f"norm{scale}", f"norms.{number}"),
        ]
        for block in map("parallel_blocks.{}".format, range(depth)):
            rules += _repeated_crpe(f"{block}.factoratt_crpe{scale}", scale)
            for layer in ("fc1", "fc2") if number else ():
                rules += repeated(f"{block}.mlp{scale}.{layer}", f"{block}.mlp2.{layer}")
    return rules


def _crpe(scale: int, ours: str) -> list[Rule]:
    return [rule for i in CONVOLUTIONS for rule in dense(f"crpe{scale}.conv_list.{i}", f"{ours}.convs.{i}", CONV)]


def _repeated_crpe(theirs: str, scale: int) -> list[Rule]:
    names = [f"crpe{scale}.conv_list.{i}" for i in CONVOLUTIONS]
    return [rule for name in names for rule in repeated(f"{theirs}.{name.replace(str(scale), '', 1)}", name)]


COAT_CLASS = ModelClass(coat_config, lambda config, args: coat_table(config), mark=MARK)
