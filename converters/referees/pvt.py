"""Runs a PVT v2 of timm and gives its activations by our names, and its gradient."""

from typing import Any

import numpy as np

from converters.referees import captured
from converters.referees.captured import Captured, stream
from converters.referees.parity import Reference
from converters.referees.twins import fewer_keys
from vitjax.models.core.config import Preprocess


def reference(model: Any, images: np.ndarray, preprocess: Preprocess) -> Reference:
    """Runs a model, in evaluation mode, on images [batch, height, width, 3] in [0, 1] of the model's dtype."""
    return captured.reference(model, images, preprocess, _taps, output="logits" if model.num_classes else "pooled")


def _taps(kept: Captured) -> dict[str, Any]:
    found = {"embed": kept.gave["patch_embed"].flatten(1, 2)}
    for name, module in kept.modules.items():
        if type(module).__name__ == "PyramidVisionTransformerStage":
            found[f"{name}.norm"] = kept.gave[f"{name}.norm"]
            found["pooled"] = kept.gave[f"{name}.norm"].mean(dim=1)
            if f"{name}.downsample" in kept:
                found[f"{name}.embed"] = kept.gave[f"{name}.downsample"].flatten(1, 2)
        if type(module).__name__ != "Block":
            continue
        ours = {f"attn.{tap}": value for tap, value in fewer_keys(name, kept).items()} | stream(name, kept)
        rectified = type(module.mlp.relu).__name__ == "ReLU"
        ours["mlp.wide"] = ours["mlp.pre"].relu() if rectified else ours["mlp.pre"]
        ours["mlp.pre"] = kept.gave[f"{name}.mlp.dwconv"].flatten(2).mT
        found |= {f"{name}.{tap}": value for tap, value in ours.items()}
    return found
