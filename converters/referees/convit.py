"""Runs a ConViT of timm and gives its activations by our names, and its gradient."""

from typing import Any

import numpy as np

from converters.referees import captured
from converters.referees.captured import Captured, products
from converters.referees.parity import Reference
from vitjax.models.core.config import Preprocess


def reference(model: Any, images: np.ndarray, preprocess: Preprocess) -> Reference:
    """Runs a model, in evaluation mode, on images [batch, height, width, 3] in [0, 1] of the model's dtype."""
    taps = lambda kept: _taps(kept, model.global_pool == "avg")
    return captured.reference(model, images, preprocess, taps, output="logits" if model.num_classes else "pooled")


def _taps(kept: Captured, mean: bool) -> dict[str, Any]:
    found = {"embed": kept.read["blocks.0"], "norm": kept.gave["norm"]}
    found["pooled"] = found["norm"][:, 1:].mean(dim=1) if mean else found["norm"][:, 0]
    for number in range(len(kept.modules["blocks"])):
        name = f"blocks.{number}"
        tokens, middle = kept.read[name], kept.read[f"{name}.norm2"]
        found |= {f"{name}.{tap}": value for tap, value in attention(name, kept).items()}
        found |= {
            f"{name}.resid_pre": tokens,
            f"{name}.attn.out": middle - tokens,
            f"{name}.resid_mid": middle,
            f"{name}.mlp.pre": kept.gave[f"{name}.mlp.fc1"],
            f"{name}.mlp.hidden": kept.read[f"{name}.mlp.fc2"],
            f"{name}.mlp.out": kept.gave[f"{name}.mlp"],
            f"{name}.resid_post": kept.gave[name],
        }
    return found


def attention(name: str, kept: Captured) -> dict[str, Any]:
    """Gives what is inside the attention of a block: of a gated one the scores of tokens, and the mixture as probs."""
    import torch

    module = kept.modules[f"{name}.attn"]
    whole = kept.gave[f"{name}.attn.qkv"] if hasattr(module, "qkv") else None
    if whole is None:
        whole = torch.cat([kept.gave[f"{name}.attn.qk"], kept.gave[f"{name}.attn.v"]], dim=-1)
    q, k, v = whole.unflatten(-1, (3, module.num_heads, -1)).permute(2, 0, 3, 1, 4)
    found = products(q, k, v)
    if hasattr(module, "gating_param"):
        found["probs"] = module.get_attention(kept.read[f"{name}.attn"])
    found["z"] = kept.read[f"{name}.attn.proj"].unflatten(-1, (module.num_heads, -1))
    return {f"attn.{tap}": value for tap, value in found.items()}
