"""LeViT of transformers: a block is two layers of a stage there, and the way to the next stage its last two.

Source of the facts: transformers 5.24, `models/levit/{configuration,modeling}_levit.py`.
"""

from vitjax.errors import InputError
from vitjax.models.core.preprocess import Preprocess
from vitjax.models.hierarchical.levit import LevitConfig
from vitjax.weights.families.family import Settings, Shapes
from vitjax.weights.families.transformers.hierarchical.staged import Staged
from vitjax.weights.rules.batch_norms import folded
from vitjax.weights.rules.layouts import CONV, KERNEL, Rule, dense, drop, linear, merge

FIXED = {"kernel_size": 3, "stride": 2, "padding": 1, "patch_size": 16}
RATIO = 2  # channels of a head's v, of those of its k


def levit_config(settings: Settings, shapes: Shapes, p: str, prepared: Preprocess) -> LevitConfig:
    """Reads the model's config off transformers' settings; it is distilled if its second head is there.

    Raises:
        InputError: a setting that it cannot have here.
    """
    for name, value in FIXED.items():
        if settings[name] != value:
            raise InputError(f"{name}={settings[name]!r} is not supported for LeViT, only {value}")
    if set(settings["attention_ratio"]) != {RATIO}:
        raise InputError(f"attention_ratio={settings['attention_ratio']!r} is not supported, only {RATIO}")
    if len(set(settings["key_dim"])) > 1:
        raise InputError(f"key_dim={settings['key_dim']!r} is not supported, only one for all stages")
    widths = tuple(settings["hidden_sizes"])
    return LevitConfig(
        image_size=(settings["image_size"], settings["image_size"]),
        widths=widths,
        depths=tuple(settings["depths"]),
        heads=tuple(settings["num_attention_heads"]),
        mlp_widths=tuple(width * ratio for width, ratio in zip(widths, settings["mlp_ratio"], strict=True)),
        key_width=settings["key_dim"][0],
        distilled="classifier_distill.linear.weight" in shapes,
        classes=shapes.get("classifier.linear.weight", (0,))[0],
        preprocess=prepared.of((settings["image_size"], settings["image_size"])),
    )


def levit_rules(config: LevitConfig, settings: Settings, p: str) -> list[Rule]:
    """Lists the rules."""
    start = f"{p}patch_embeddings.embedding_layer_"
    rules = [rule for i in range(4) for rule in dense(f"{start}{i + 1}.convolution", f"stem.{i}", CONV)]
    for stage, depth in enumerate(config.depths):
        layer, ours = f"{p}encoder.stages.{stage}.layers.", f"stages.{stage}.blocks"
        down, merged = f"{layer}{2 * depth}", f"stages.{stage + 1}.down"
        rules += [
            *linear(f"{layer}{{2i}}.module.queries_keys_values.linear", f"{ours}.attn.qkv"),
            *_rest(f"{layer}{{2i}}.module", f"{ours}.attn"),
            *_mlp(f"{layer}{{2i+1}}.module", f"{ours}.mlp"),
            *linear(f"{down}.queries.linear", f"{merged}.attn.q"),
            *linear(f"{down}.keys_values.linear", f"{merged}.attn.kv"),
            *_rest(down, f"{merged}.attn"),
            *_mlp(f"{layer}{2 * depth + 1}.module", f"{merged}.mlp"),
        ]
    return [
        *rules,
        *linear("classifier.linear", "head"),
        *linear("classifier_distill.linear", "head_distilled"),
        *drop("*.num_batches_tracked", "*.attention_bias_idxs"),
    ]


def _rest(theirs: str, ours: str) -> list[Rule]:
    return [
        Rule(f"{theirs}.attention_biases", f"{ours}.bias.distances", KERNEL),
        *merge(f"{theirs}.projection.linear", f"{ours}.proj"),
    ]


def _mlp(theirs: str, ours: str) -> list[Rule]:
    return [
        *linear(f"{theirs}.linear_up.linear", f"{ours}.fc1"),
        *linear(f"{theirs}.linear_down.linear", f"{ours}.fc2"),
    ]


LEVIT = Staged(
    config=levit_config,
    rules=levit_rules,
    prefix="levit.",
    defaults={
        **FIXED, "hidden_sizes": (128, 256, 384), "num_attention_heads": (4, 8, 12), "depths": (4, 4, 4),
        "key_dim": (16, 16, 16), "mlp_ratio": (2, 2, 2), "attention_ratio": (RATIO,) * 3,
    },
    tensors=lambda tensors: folded(tensors, "batch_norm", ("linear", "convolution")),
)  # fmt: skip
