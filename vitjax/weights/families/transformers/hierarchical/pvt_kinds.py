"""PVT and PVT v2 of transformers, whose norms all have one epsilon.

Source of the facts: transformers 5.24, `models/{pvt,pvt_v2}/{configuration,modeling}_*.py`.
"""

from typing import Any

from vitjax.errors import InputError
from vitjax.models.core.preprocess import Preprocess
from vitjax.models.hierarchical.pvt import PvtConfig
from vitjax.models.hierarchical.pvt_v2 import PvtV2Config
from vitjax.weights.families.family import Settings, Shapes
from vitjax.weights.families.originals.pvt import position_rules
from vitjax.weights.families.timm.hierarchical.twins_pvt import POOLED, source_rules, step_rules
from vitjax.weights.families.transformers.hierarchical.staged import Staged
from vitjax.weights.rules.layouts import CONV, Rule, dense, linear, merge, norm, patch_conv, split
from vitjax.weights.rules.resize import Resampling


def pvt_config(settings: Settings, shapes: Shapes, p: str, prepared: Preprocess) -> PvtConfig:
    """Reads a PVT's config off transformers' settings.

    Raises:
        InputError: a setting that it cannot have here.
    """
    fields = _fields(settings, shapes, prepared, patches=(*settings["strides"][:1], 2))
    return PvtConfig(**fields, reductions=tuple(settings["sequence_reduction_ratios"]))


def pvt_v2_config(settings: Settings, shapes: Shapes, p: str, prepared: Preprocess) -> PvtV2Config:
    """Reads a PVT v2's config off transformers' settings.

    Raises:
        InputError: a setting that it cannot have here.
    """
    fields = _fields(settings, shapes, prepared, patches=(7, 3))
    pooled = POOLED if settings["linear_attention"] else 0
    return PvtV2Config(**fields, reductions=tuple(settings["sr_ratios"]), pooled=pooled)


def pvt_rules(config: PvtConfig, settings: Settings, p: str) -> list[Rule]:
    """Lists the rules of a PVT."""
    embedding, first = f"{p}encoder.patch_embeddings.", f"{p}encoder.patch_embeddings.0"
    rules = [*patch_conv(f"{first}.projection", "patch", config.patch_size), *norm(f"{first}.layer_norm", "patch_norm")]
    for stage in range(len(config.widths)):
        block, ours = f"{p}encoder.block.{stage}.{{i}}", f"stages.{stage}"
        step = (f"{embedding}{stage}.projection", f"{embedding}{stage}.layer_norm") if stage else None
        attention = f"{block}.attention.self"
        rules += [
            *(step_rules(*step, f"{ours}.step") if step else []),
            *_block_rules(block, attention, f"{ours}.blocks"),
            *merge(f"{block}.attention.output.dense", f"{ours}.blocks.attn.proj"),
            *source_rules(
                f"{attention}.sequence_reduction", f"{attention}.layer_norm", f"{ours}.blocks.attn.step", config, stage
            ),
        ]
    positions = lambda stage: f"{embedding}{stage}.position_embeddings"
    return [
        *rules,
        *position_rules(config, positions, f"{embedding}{len(config.widths) - 1}.cls_token"),
        *norm(f"{p}encoder.layer_norm", "norm"),
        *linear("classifier", "head"),
    ]


def pvt_v2_rules(config: PvtV2Config, settings: Settings, p: str) -> list[Rule]:
    """Lists the rules of a PVT v2."""
    rules = []
    for stage in range(len(config.widths)):
        layer, ours = f"{p}encoder.layers.{stage}", f"stages.{stage}"
        block, patch = f"{layer}.blocks.{{i}}", (f"{ours}.step.patch", f"{ours}.step.norm")
        attention = f"{block}.attention"
        patch, patch_norm = patch if stage else ("patch", "patch_norm")
        rules += [
            *dense(f"{layer}.patch_embedding.proj", patch, CONV),
            *norm(f"{layer}.patch_embedding.layer_norm", patch_norm),
            *_block_rules(block, attention, f"{ours}.blocks"),
            *merge(f"{attention}.proj", f"{ours}.blocks.attn.proj"),
            *source_rules(
                f"{attention}.spatial_reduction", f"{attention}.layer_norm", f"{ours}.blocks.attn.step", config, stage
            ),
            *dense(f"{block}.mlp.dwconv.dwconv", f"{ours}.blocks.mlp.mixer.conv", CONV),
            *norm(f"{layer}.layer_norm", f"{ours}.norm"),
        ]
    return [*rules, *linear("classifier", "head")]


def _block_rules(block: str, attention: str, ours: str) -> list[Rule]:
    return [
        *norm(f"{block}.layer_norm_1", f"{ours}.norm1"),
        *linear(f"{attention}.query", f"{ours}.attn.q"),
        *split([f"{attention}.key", f"{attention}.value"], f"{ours}.attn.kv"),
        *norm(f"{block}.layer_norm_2", f"{ours}.norm2"),
        *linear(f"{block}.mlp.dense1", f"{ours}.mlp.fc1"),
        *linear(f"{block}.mlp.dense2", f"{ours}.mlp.fc2"),
    ]


def _fields(settings: Settings, shapes: Shapes, prepared: Preprocess, patches: tuple[int, int]) -> dict[str, Any]:
    """The fields that both have; `patches` are the sizes of the first stage's and of the later stages' kernels."""
    stages, first = len(settings["depths"]), settings["strides"][0]
    due = {
        "hidden_act": "gelu",
        "num_encoder_blocks": stages,
        "strides": [first] + [2] * (stages - 1),
        "patch_sizes": [patches[0]] + [patches[1]] * (stages - 1),
    }
    for name, only in due.items():
        if (list(value) if isinstance(value := settings[name], tuple) else value) != only:
            raise InputError(f"{name}={value!r} is not supported for this model, only {only!r}")
    widths, size = tuple(settings["hidden_sizes"]), settings["image_size"]
    image_size = (size, size) if isinstance(size, int) else tuple(size)
    return {
        "image_size": image_size,
        "patch_size": (first, first),
        "widths": widths,
        "depths": tuple(settings["depths"]),
        "heads": tuple(settings["num_attention_heads"]),
        "mlp_widths": tuple(int(width * ratio) for width, ratio in zip(widths, settings["mlp_ratios"], strict=True)),
        "qkv_bias": settings["qkv_bias"],
        "norm_eps": settings["layer_norm_eps"],
        "embed_eps": None,
        "classes": shapes.get("classifier.weight", (0,))[0],
        "preprocess": prepared.of(image_size),
    }


_COMMON = {
    "image_size": 224, "num_channels": 3, "num_encoder_blocks": 4, "depths": (2, 2, 2, 2), "strides": (4, 2, 2, 2),
    "num_attention_heads": (1, 2, 5, 8), "mlp_ratios": (8, 8, 4, 4), "hidden_act": "gelu", "layer_norm_eps": 1e-6,
    "qkv_bias": True,
}  # fmt: skip
PVT = Staged(
    config=pvt_config,
    rules=pvt_rules,
    prefix="pvt.",
    defaults={
        **_COMMON,
        "hidden_sizes": (64, 128, 320, 512),
        "patch_sizes": (4, 2, 2, 2),
        "sequence_reduction_ratios": (8, 4, 2, 1),
    },
    resampling=Resampling("bilinear"),  # as its authors; transformers' own code runs at no other size
)
PVT_V2 = Staged(
    config=pvt_v2_config,
    rules=pvt_v2_rules,
    prefix="pvt_v2.",
    defaults={
        **_COMMON,
        "hidden_sizes": (32, 64, 160, 256),
        "patch_sizes": (7, 3, 3, 3),
        "sr_ratios": (8, 4, 2, 1),
        "linear_attention": False,
    },
)
