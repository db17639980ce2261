"""Swin and Swin V2 of transformers: a grid is filled up before it is rolled, and the way to a stage is the last's.

Source of the facts: transformers 5.24, `models/swin/*.py` and `models/swinv2/*.py`. Files on the hub have the names of
transformers 4, which version 5 still writes; both spellings are known.
"""

from typing import Any

from vitjax.errors import InputError
from vitjax.models.core.config import whole
from vitjax.models.core.preprocess import Preprocess
from vitjax.models.hierarchical.swin import SwinConfig
from vitjax.models.hierarchical.swin_v2 import SwinV2Config
from vitjax.models.parts.windows import APART
from vitjax.weights.families.family import Settings, Shapes
from vitjax.weights.families.timm.hierarchical.swin import SCALES
from vitjax.weights.families.transformers.hierarchical.staged import Staged
from vitjax.weights.rules.layouts import KERNEL, Rule, drop, linear, merge, norm, patch_conv, same, split, zeros
from vitjax.weights.rules.resize import Resampling

EMBED_EPS = 1e-5  # of the norms of patches and of merged ones, whatever the settings say
Fields = dict[str, Any]


def swin(settings: Settings, shapes: Shapes, p: str, prepared: Preprocess) -> SwinConfig:
    """Reads Swin's config.

    Raises:
        InputError: a setting that it cannot have here, or a grid that is smaller than its window.
    """
    config = SwinConfig(**_fields(settings, shapes, prepared))
    for stage, size in enumerate(config.windows):
        if config.window(stage) != (size, size):
            rows, columns = config.grids[stage]
            raise InputError(
                f"stage {stage} has {rows}x{columns} tokens, fewer than a window of {size}, which transformers' Swin"
                " does not run on"
            )
    return config


def swin_v2(settings: Settings, shapes: Shapes, p: str, prepared: Preprocess) -> SwinV2Config:
    """Reads Swin V2's config: transformers adds the mask twice.

    Raises:
        InputError: a setting that it cannot have here, or grids of which transformers looks at the rows alone.
    """
    stages = len(settings["depths"])
    config = SwinV2Config(
        **_fields(settings, shapes, prepared),
        apart=2 * APART,
        trained_windows=tuple(settings["pretrained_window_sizes"][:stages]),
    )
    for stage, size in enumerate(config.windows):
        rows = config.grids[0][0] // 2**stage
        window, shift = min(rows, size), size // 2 if rows > size else 0
        if (config.window(stage), config.shift(stage)) != ((window, window), (shift, shift)):
            raise InputError(
                f"transformers cuts the windows of stage {stage} by its rows alone, which is not supported"
                f" for a grid of {config.grids[stage][0]}x{config.grids[stage][1]}"
            )
    return config


def swin_rules(config: SwinConfig, settings: Settings, p: str) -> list[Rule]:
    """Lists the rules of Swin and of Swin V2."""
    bias = _v2_bias_rules if isinstance(config, SwinV2Config) else _bias_rules
    rules = [
        *patch_conv(f"{p}embeddings.patch_embeddings.projection", "patch", config.patch_size),
        *norm(f"{p}embeddings.norm", "patch_norm"),
    ]
    for stage in range(len(config.widths)):
        ours, last = f"stages.{stage}", f"{p}encoder.layers.{stage - 1}.downsample"
        block, attn = f"{p}encoder.layers.{stage}.blocks.{{i}}", f"{ours}.blocks.attn.attn"
        rules += [
            *norm(f"{last}.norm", f"{ours}.merge.norm"),
            Rule(f"{last}.reduction.weight", f"{ours}.merge.reduction.kernel", KERNEL),
            *norm(f"{block}.layernorm_before", f"{ours}.blocks.norm1"),
            *split([f"{block}.attention.self.{name}" for name in ("query", "key", "value")], f"{attn}.qkv"),
            *split([f"{block}.attention.{name}_proj" for name in "qkv"], f"{attn}.qkv"),
            *bias(f"{block}.attention", attn),
            *merge(f"{block}.attention.output.dense", f"{attn}.proj"),
            *merge(f"{block}.attention.o_proj", f"{attn}.proj"),
            *norm(f"{block}.layernorm_after", f"{ours}.blocks.norm2"),
            *linear(f"{block}.intermediate.dense", f"{ours}.blocks.mlp.fc1"),
            *linear(f"{block}.mlp.fc1", f"{ours}.blocks.mlp.fc1"),
            *linear(f"{block}.output.dense", f"{ours}.blocks.mlp.fc2"),
            *linear(f"{block}.mlp.fc2", f"{ours}.blocks.mlp.fc2"),
        ]
    return [
        *rules,
        *norm(f"{p}layernorm", "norm"),
        *linear("classifier", "head"),
        *drop("*.relative_position_index", "*.relative_coords_table", f"{p}embeddings.mask_token", "decoder.*"),
    ]


def _bias_rules(theirs: str, ours: str) -> list[Rule]:
    table = "relative_position_bias_table"
    return [
        *same(f"{theirs}.self.{table}", f"{ours}.bias.distances"),
        *same(f"{theirs}.relative_position_bias.{table}", f"{ours}.bias.distances"),
    ]


def _v2_bias_rules(theirs: str, ours: str) -> list[Rule]:
    return [
        *zeros(f"{ours}.qkv.bias", (0, 1)),
        Rule(f"{theirs}.self.logit_scale", f"{ours}.log_scale", SCALES),
        *linear(f"{theirs}.self.continuous_position_bias_mlp.0", f"{ours}.bias.fc1"),
        *linear(f"{theirs}.self.continuous_position_bias_mlp.2", f"{ours}.bias.fc2"),
    ]


def _fields(settings: Settings, shapes: Shapes, prepared: Preprocess) -> Fields:
    for name, only in (("hidden_act", "gelu"), ("use_absolute_embeddings", False)):
        if settings[name] != only:
            raise InputError(f"{name}={settings[name]!r} is not supported of Swin, only {only!r}")
    patch, size = (_pair(settings[name]) for name in ("patch_size", "image_size"))
    image_size = whole(size, patch)
    widths = tuple(settings["embed_dim"] * 2**stage for stage in range(len(settings["depths"])))
    return {
        "image_size": image_size,
        "patch_size": patch,
        "widths": widths,
        "depths": tuple(settings["depths"]),
        "heads": tuple(settings["num_heads"]),
        "mlp_widths": tuple(int(settings["mlp_ratio"] * width) for width in widths),
        "classes": shapes.get("classifier.weight", (0,))[0],
        "norm_eps": settings["layer_norm_eps"],
        "embed_eps": EMBED_EPS,
        "windows": (settings["window_size"],) * len(widths),
        "qkv_bias": settings["qkv_bias"],
        "pad_first": True,
        "preprocess": prepared.of(image_size),
    }


def _pair(size: int | list[int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (size[0], size[1])


_SWIN = {
    "image_size": 224, "patch_size": 4, "num_channels": 3, "embed_dim": 96, "depths": (2, 2, 6, 2),
    "num_heads": (3, 6, 12, 24), "window_size": 7, "mlp_ratio": 4.0, "qkv_bias": True, "hidden_act": "gelu",
    "use_absolute_embeddings": False, "layer_norm_eps": 1e-5,
}  # fmt: skip

SWIN = Staged(swin, swin_rules, "swin.", _SWIN, Resampling())
SWIN_V2 = Staged(swin_v2, swin_rules, "swinv2.", {**_SWIN, "pretrained_window_sizes": (0, 0, 0, 0)}, Resampling())
