"""Runs a PiT of timm and gives its activations by our names, and its gradient."""

from typing import Any

import numpy as np

from converters.referees import captured
from converters.referees.captured import Captured, products, stream
from converters.referees.parity import Reference
from vitjax.models.core.config import Preprocess


def reference(model: Any, images: np.ndarray, preprocess: Preprocess) -> Reference:
    """Runs a model, in evaluation mode, on images [batch, height, width, 3] in [0, 1] of the model's dtype."""
    taps = lambda kept: _taps(kept, model.num_tokens > 1)
    return captured.reference(model, images, preprocess, taps, output="logits" if model.num_classes else "pooled")


def _taps(kept: Captured, distilled: bool) -> dict[str, Any]:
    found = {"norm": kept.gave["norm"]}
    found["pooled"] = found["norm"] if distilled else found["norm"][:, 0]
    for name, module in kept.modules.items():
        if type(module).__name__ != "Block":
            continue
        _, stage, _, number = name.split(".")
        if number == "0":
            found["embed" if stage == "0" else f"stages.{stage}.embed"] = kept.read[name]
        ours = f"stages.{stage}.blocks.{number}"
        found |= {f"{ours}.{tap}": value for tap, value in block(name, kept).items()}
    return found


def block(name: str, kept: Captured) -> dict[str, Any]:
    """Gives the activations of a plain pre-norm block of timm's."""
    attention = kept.modules[f"{name}.attn"]
    q, k, v = kept.gave[f"{name}.attn.qkv"].unflatten(-1, (3, attention.num_heads, -1)).permute(2, 0, 3, 1, 4)
    return {f"attn.{tap}": value for tap, value in products(q, k, v).items()} | stream(name, kept)
