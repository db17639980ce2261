"""timm's MLP-Mixer and ResMLP: their configs by timm's arguments, and their rule tables.

Source of the facts: timm 1.0.31, `models/mlp_mixer.py`; of the names of ResMLP's authors,
`facebookresearch/deit`, `resmlp_models.py`, as timm reads them.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from vitjax.errors import InputError
from vitjax.models.mixer import MixerConfig
from vitjax.weights.families.family import Shapes
from vitjax.weights.families.timm.arguments import image_size, pair, preprocess
from vitjax.weights.families.timm.hierarchical.stage_rules import mlp_rules
from vitjax.weights.families.timm.model_class import ModelClass
from vitjax.weights.formats.tensors import Tensors, shapes_of
from vitjax.weights.rules.channels import channels_of
from vitjax.weights.rules.layouts import Rule, drop, linear, norm, patch_conv, same

MIXER_MARK = "stem.proj.weight"
MIXING = ("blocks.0.mlp_tokens.fc1.weight", "blocks.0.linear_tokens.weight")  # tensors that read all tokens
AUTHORS = {"patch_embed.": "stem.", "attn.": "linear_tokens.", "mlp.": "mlp_channels.", "gamma_": "ls"}  # of ResMLP


def mixer_config(args: Mapping[str, Any], shapes: Shapes) -> MixerConfig:
    """Reads the config of an MLP-Mixer off the arguments of `vitjax.weights.families.timm.arguments.arguments`.

    Raises:
        InputError: another pooling than the mean, or another image size than the tensors are for.
    """
    tokens, channels = args["mlp_ratio"] if isinstance(args["mlp_ratio"], list | tuple) else (args["mlp_ratio"],) * 2
    return _config(args, shapes, channels, token_width=int(args["embed_dim"] * tokens))


def resmlp_config(args: Mapping[str, Any], shapes: Shapes) -> MixerConfig:
    """Reads the config of a ResMLP; arguments and errors as of `mixer_config`."""
    return _config(args, shapes, args["mlp_ratio"], token_width=0, norm="affine", layer_scale=True)


def mixer_table(config: MixerConfig) -> list[Rule]:
    """Lists the rules of an MLP-Mixer."""
    return [
        *_table(config),
        *norm("blocks.{i}.norm1", "blocks.norm1"),
        *mlp_rules("blocks.{i}.mlp_tokens", "blocks.attn"),
        *norm("blocks.{i}.norm2", "blocks.norm2"),
        *norm("norm", "norm"),
    ]


def resmlp_table(config: MixerConfig) -> list[Rule]:
    """Lists the rules of a ResMLP."""
    return [
        *_table(config),
        *_affine("blocks.{i}.norm1", "blocks.norm1"),
        *linear("blocks.{i}.linear_tokens", "blocks.attn"),
        *same("blocks.{i}.ls1", "blocks.scale1"),
        *_affine("blocks.{i}.norm2", "blocks.norm2"),
        *same("blocks.{i}.ls2", "blocks.scale2"),
        *_affine("norm", "norm"),
    ]


def resmlp_tensors(tensors: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
    """Gives the tensors of a ResMLP by timm's names, of a file of its authors as well."""
    shapes = shapes_of(tensors)
    if "patch_embed.proj.weight" not in shapes:
        return tensors
    theirs = {_renamed(name): name for name in shapes}
    flat = {ours for ours, name in theirs.items() if name.endswith((".alpha", ".beta"))}
    found = {ours: (1, 1, *shapes[name]) if ours in flat else shapes[name] for ours, name in theirs.items()}
    return Tensors((), found, lambda ours: tensors[theirs[ours]].reshape(found[ours]))


def _config(args: Mapping[str, Any], shapes: Shapes, ratio: float, **known: Any) -> MixerConfig:
    if args["global_pool"] not in ("avg", ""):
        raise InputError(f"global_pool={args['global_pool']!r} is not supported for this model, only 'avg'")
    found = MixerConfig(
        image_size=image_size(args),
        patch_size=pair(args["patch_size"]),
        width=args["embed_dim"],
        depth=args["num_blocks"],
        mlp_width=int(args["embed_dim"] * ratio),
        classes=args["num_classes"] if args["global_pool"] else 0,
        preprocess=preprocess(args, channels_of(shapes, MIXER_MARK)),
        **known,
    )
    for name in MIXING:
        if name in shapes and shapes[name][-1] != found.patches:
            size = "x".join(map(str, found.image_size))
            raise InputError(
                f"the config says an image of {size} pixels, {found.patches} patches, but {name} is for"
                f" {shapes[name][-1]}: this model works at its own image size alone"
            )
    return found


def _table(config: MixerConfig) -> list[Rule]:
    return [
        *patch_conv("stem.proj", "patch", config.patch_size),
        *mlp_rules("blocks.{i}.mlp_channels", "blocks.mlp"),
        *(linear("head", "head") if config.classes else drop("head.weight", "head.bias")),
    ]


def _affine(theirs: str, ours: str) -> list[Rule]:
    return [*same(f"{theirs}.alpha", f"{ours}.scale", leading=2), *same(f"{theirs}.beta", f"{ours}.bias", leading=2)]


def _renamed(name: str) -> str:
    for theirs, ours in AUTHORS.items():
        name = name.replace(theirs, ours)
    return name


MIXER_CLASS = ModelClass(mixer_config, lambda config, args: mixer_table(config), mark=MIXER_MARK)
RESMLP_CLASS = ModelClass(
    resmlp_config,
    lambda config, args: resmlp_table(config),
    tensors=lambda tensors, args: resmlp_tensors(tensors),
    mark=MIXER_MARK,
)
