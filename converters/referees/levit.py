"""Runs a LeViT of timm and gives its activations by our names, and its gradient."""

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
    last = len(kept.modules["stages"]) - 1
    found = {"embed": _tokens(kept.gave["stem"]), "pooled": _tokens(kept.gave[f"stages.{last}"]).mean(dim=1)}
    for name, module in kept.modules.items():
        kind, ours = type(module).__name__, name.replace("downsample", "down")
        if kind == "LevitDownsample":
            found[name.replace("downsample", "embed")] = _tokens(kept.gave[name])
            found |= {f"{ours}.{tap}": value for tap, value in _down(name, module, kept).items()}
        elif kind == "LevitBlock":
            found |= {f"{ours}.{tap}": value for tap, value in _block(name, module, kept).items()}
    return found


def _block(name: str, block: Any, kept: Captured) -> dict[str, Any]:
    attention, x = block.attn, _tokens(kept.read[name])
    size = attention.key_dim
    parts = _heads(kept.gave[f"{name}.attn.qkv"], attention.num_heads)
    q, k, v = parts.split([size, size, attention.val_dim], dim=-1)
    out = _tokens(kept.gave[f"{name}.attn"])
    return {
        "resid_pre": x,
        **_attention(q, k, v, attention, out),
        "resid_mid": x + out,
        **_mlp(f"{name}.mlp", kept),
        "resid_post": _tokens(kept.gave[name]),
    }


def _down(name: str, down: Any, kept: Captured) -> dict[str, Any]:
    attention, inside = down.attn_downsample, f"{name}.attn_downsample"
    q = _heads(kept.gave[f"{inside}.q"], attention.num_heads)
    parts = _heads(kept.gave[f"{inside}.kv"], attention.num_heads)
    k, v = parts.split([attention.key_dim, attention.val_dim], dim=-1)
    out = _tokens(kept.gave[inside])
    return {
        **_attention(q, k, v, attention, out),
        "resid_mid": out,
        **_mlp(f"{name}.mlp", kept),
        "resid_post": _tokens(kept.gave[name]),
    }


def _attention(q: Any, k: Any, v: Any, attention: Any, out: Any) -> dict[str, Any]:
    found = products(q, k, v, attention.get_attention_biases(q.device), attention.scale)
    found["mixed"] = found["z"]
    found["z"] = attention.proj.act(found["mixed"].clone())
    return {f"attn.{tap}": value for tap, value in {**found, "out": out}.items()}


def _mlp(name: str, kept: Captured) -> dict[str, Any]:
    theirs = {"pre": kept.gave[f"{name}.ln1"], "hidden": kept.read[f"{name}.ln2"], "out": kept.gave[f"{name}.ln2"]}
    return {f"mlp.{tap}": _tokens(value) for tap, value in theirs.items()}


def _tokens(value: Any) -> Any:
    """[batch, channel, row, column] of a model of convolutions as [batch, token, channel]; other values stay."""
    return value.flatten(2).mT if value.ndim == 4 else value


def _heads(value: Any, heads: int) -> Any:
    return _tokens(value).unflatten(-1, (heads, -1)).transpose(1, 2)
