"""Runs a Twins of timm and gives its activations by our names, and its gradient."""

from typing import Any

import numpy as np

from converters.referees import captured
from converters.referees.captured import Captured, products, stream
from converters.referees.parity import Reference
from vitjax.models.core.config import Preprocess


def reference(model: Any, images: np.ndarray, preprocess: Preprocess) -> Reference:
    """Runs a model, in evaluation mode, on images [batch, height, width, 3] in [0, 1] of the model's dtype."""
    return captured.reference(model, images, preprocess, _taps, output="logits" if model.num_classes else "pooled")


def _taps(kept: Captured) -> dict[str, Any]:
    found = {"embed": kept.gave["patch_embeds.0.norm"], "norm": kept.gave["norm"]}
    found["pooled"] = found["norm"].mean(dim=1)
    grid = None
    for name, module in kept.modules.items():
        if type(module).__name__ != "Block":
            continue
        _, stage, number = name.split(".")
        if number == "0":
            grid = kept.gave[f"patch_embeds.{stage}.proj"].shape[2:]
            found[f"stages.{stage}.peg"] = kept.gave[f"pos_block.{stage}"]
            if stage != "0":
                found[f"stages.{stage}.embed"] = kept.gave[f"patch_embeds.{stage}.norm"]
        inside = _windows(name, module.attn, grid, kept) if hasattr(module.attn, "ws") else fewer_keys(name, kept)
        ours = {f"attn.{tap}": value for tap, value in inside.items()} | stream(name, kept)
        found |= {f"stages.{stage}.blocks.{number}.{tap}": value for tap, value in ours.items()}
    return found


def _windows(name: str, attention: Any, grid: tuple[int, int], kept: Captured) -> dict[str, Any]:
    """Attention in windows, whose q, k, v and z are shown on the grid."""
    qkv, side = kept.gave[f"{name}.attn.qkv"], attention.ws
    down, across = qkv.shape[1:3]
    q, k, v = qkv.flatten(3, 4).flatten(0, 2).unflatten(-1, (3, attention.num_heads, -1)).permute(2, 0, 3, 1, 4)
    inside = products(q, k, v)

    def joined(value: Any) -> Any:
        value = value.unflatten(1, (side, side)).unflatten(0, (-1, down, across))
        return value.transpose(2, 3).flatten(3, 4).flatten(1, 2)[:, : grid[0], : grid[1]]

    found = {tap: joined(inside[tap]) for tap in "qkvz"}
    return found | {tap: inside[tap].unflatten(0, (-1, down * across)) for tap in ("scores", "probs")}


def fewer_keys(name: str, kept: Captured) -> dict[str, Any]:
    """Gives attention to fewer keys, by our names."""
    heads = kept.modules[f"{name}.attn"].num_heads
    q = kept.gave[f"{name}.attn.q"].unflatten(-1, (heads, -1)).transpose(1, 2)
    k, v = kept.gave[f"{name}.attn.kv"].unflatten(-1, (2, heads, -1)).permute(2, 0, 3, 1, 4)
    return {"source": kept.read[f"{name}.attn.kv"], **products(q, k, v)}
