"""Runs a PVT or PVT v2 of Hugging Face transformers and gives its activations by our names, and its gradient."""

from typing import Any

import numpy as np

from converters.referees import captured
from converters.referees.captured import Captured, products
from converters.referees.parity import Reference
from vitjax.models.core.config import Preprocess


def reference(model: Any, images: np.ndarray, preprocess: Preprocess) -> Reference:
    """Runs a model, in evaluation mode, on images [batch, height, width, 3] in [0, 1] of the model's dtype."""
    second, headed = model.config.model_type == "pvt_v2", hasattr(model, "classifier")
    pooled = lambda state: state.mean(dim=(2, 3)) if second else state[:, 0]
    run = lambda model, pixels: model(pixels).logits if headed else pooled(model(pixels).last_hidden_state)
    return captured.reference(model, images, preprocess, _taps, run, "logits" if headed else "pooled")


def _taps(kept: Captured) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, module in kept.modules.items():
        if (kind := type(module).__name__) not in ("PvtLayer", "PvtV2BlockLayer"):
            continue
        ours = _block(name, kept, second=kind == "PvtV2BlockLayer")
        *_, stage, number = name.replace(".blocks", "").split(".")
        if number == "0":
            found["embed" if stage == "0" else f"stages.{stage}.embed"] = ours["resid_pre"]
        found |= {f"stages.{stage}.blocks.{number}.{tap}": value for tap, value in ours.items()}
    for name in kept.modules:
        end = name.rpartition("encoder.")[2]
        if end == "layer_norm":
            found["norm"] = kept.gave[name]
            found["pooled"] = found["norm"][:, 0]
        elif end.startswith("layers.") and end.endswith(".layer_norm") and end.count(".") == 2:
            found[f"stages.{end.split('.')[1]}.norm"] = kept.gave[name]
            found["pooled"] = kept.gave[name].mean(dim=1)
    return found


def _block(name: str, kept: Captured, second: bool) -> dict[str, Any]:
    attention = f"{name}.attention" if second else f"{name}.attention.self"
    heads = kept.modules[attention].num_attention_heads
    q, k, v = (
        kept.gave[f"{attention}.{layer}"].unflatten(-1, (heads, -1)).transpose(1, 2)
        for layer in ("query", "key", "value")
    )
    before, middle, out = (kept.read[f"{name}.{part}"] for part in ("layer_norm_1", "layer_norm_2", "mlp.dense2"))
    found = {"source": kept.read[f"{attention}.key"], **products(q, k, v)}
    found = {f"attn.{tap}": value for tap, value in found.items()}
    if second:
        found |= {"mlp.wide": kept.gave[f"{name}.mlp.relu"], "mlp.pre": kept.gave[f"{name}.mlp.dwconv"]}
    else:
        found["mlp.pre"] = kept.gave[f"{name}.mlp.dense1"]
    return {
        **found,
        "resid_pre": before,
        "attn.out": kept.gave[f"{attention}.proj" if second else f"{name}.attention.output"],
        "resid_mid": middle,
        "mlp.hidden": out,
        "mlp.out": kept.gave[f"{name}.mlp"],
        "resid_post": middle + kept.gave[f"{name}.mlp"],
    }
