"""Runs a Swin Transformer of timm and gives its activations by our names, and its gradient."""

from typing import Any

import numpy as np

from converters.referees import captured
from converters.referees.captured import Captured, products
from converters.referees.parity import Reference
from vitjax.models.core.config import Preprocess


def reference(model: Any, images: np.ndarray, preprocess: Preprocess) -> Reference:
    """Runs a model, in evaluation mode, on images [batch, height, width, 3] in [0, 1] of the model's dtype."""
    return captured.reference(model, images, preprocess, _taps, output="logits" if model.num_classes else "pooled")


def _taps(kept: Captured) -> dict[str, Any]:
    found = {"embed": kept.gave["patch_embed"].flatten(1, 2), "norm": kept.gave["norm"].flatten(1, 2)}
    found["pooled"] = found["norm"].mean(dim=1)
    for name, module in kept.modules.items():
        if type(module).__name__ != "SwinTransformerBlock":
            continue
        _, stage, _, number = name.split(".")
        if stage != "0" and number == "0":
            found[f"stages.{stage}.embed"] = kept.read[name].flatten(1, 2)
        ours = _block(name, module, kept)
        found |= {f"stages.{stage}.blocks.{number}.{tap}": value for tap, value in ours.items()}
    return found


def _block(name: str, block: Any, kept: Captured) -> dict[str, Any]:
    import torch

    attention, tokens = block.attn, kept.read[name]
    qkv = kept.gave[f"{name}.attn.qkv"]
    q, k, v = qkv.unflatten(-1, (3, attention.num_heads, -1)).permute(2, 0, 3, 1, 4)
    bias = attention._get_rel_pos_bias()
    if block.attn_mask is not None:
        windows = block.attn_mask.shape[0]
        bias = bias + block.attn_mask.repeat(len(q) // windows, 1, 1)[:, None]
    inside = products(q, k, v, bias)
    _, rows, columns, _ = tokens.shape
    down, across = (-(-side // size) for side, size in zip((rows, columns), block.window_size, strict=True))

    def joined(value: Any) -> Any:
        value = value.unflatten(1, tuple(block.window_size)).unflatten(0, (-1, down, across))
        value = value.transpose(2, 3).flatten(3, 4).flatten(1, 2)[:, :rows, :columns]
        return torch.roll(value, tuple(block.shift_size), (1, 2))

    found = {f"attn.{tap}": joined(inside[tap]) for tap in "qkvz"}
    found |= {f"attn.{tap}": inside[tap].unflatten(0, (-1, down * across)) for tap in ("scores", "probs")}
    middle = kept.read[f"{name}.norm2"].reshape(len(tokens), rows * columns, -1)
    return {
        **found,
        "resid_pre": tokens.flatten(1, 2),
        "attn.out": middle - tokens.flatten(1, 2),
        "resid_mid": middle,
        "mlp.pre": kept.gave[f"{name}.mlp.fc1"].flatten(1, -2),
        "mlp.hidden": kept.read[f"{name}.mlp.fc2"].flatten(1, -2),
        "mlp.out": kept.gave[f"{name}.mlp"].reshape(middle.shape),
        "resid_post": kept.gave[name].flatten(1, 2),
    }
