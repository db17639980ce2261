"""Runs an MLP-Mixer or ResMLP of timm and gives its activations by our names, and its gradient."""

from typing import Any

import numpy as np

from converters.referees import captured
from converters.referees.captured import Captured
from converters.referees.parity import Reference
from vitjax.models.core.config import Preprocess


def reference(model: Any, images: np.ndarray, preprocess: Preprocess) -> Reference:
    """Runs a model, in evaluation mode, on images [batch, height, width, 3] in [0, 1] of the model's dtype."""
    return captured.reference(model, images, preprocess, _taps, output="logits" if model.num_classes else "pooled")


def _taps(kept: Captured) -> dict[str, Any]:
    found = {"embed": kept.gave["stem"], "norm": kept.gave["norm"], "pooled": kept.gave["head_drop"]}
    for name, module in kept.modules.items():
        if type(module).__name__ not in ("MixerBlock", "ResBlock"):
            continue
        before, middle = kept.read[name], kept.read[f"{name}.norm2"]
        taps = {
            "resid_pre": before,
            "tokens.out": middle - before,
            "resid_mid": middle,
            "mlp.pre": kept.gave[f"{name}.mlp_channels.fc1"],
            "mlp.hidden": kept.read[f"{name}.mlp_channels.fc2"],
            "mlp.out": kept.gave[f"{name}.mlp_channels"] * getattr(module, "ls2", 1),
            "resid_post": kept.gave[name],
        }
        if f"{name}.mlp_tokens" in kept:
            taps["tokens.pre"] = kept.gave[f"{name}.mlp_tokens.fc1"]
            taps["tokens.hidden"] = kept.read[f"{name}.mlp_tokens.fc2"]
        found |= {f"{name}.{tap}": value for tap, value in taps.items()}
    return found
