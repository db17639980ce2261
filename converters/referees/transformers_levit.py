"""Runs a LeViT of Hugging Face transformers and gives its activations by our names, and its gradient."""

from typing import Any

import numpy as np

from converters.referees import captured
from converters.referees.captured import Captured, products
from converters.referees.parity import Reference
from vitjax.models.core.config import Preprocess


def reference(model: Any, images: np.ndarray, preprocess: Preprocess) -> Reference:
    """Runs a model, in evaluation mode, on images [batch, height, width, 3] in [0, 1] of the model's dtype."""
    for module in model.modules():  # what it keeps of an earlier run has another dtype, and a graph that is gone
        if hasattr(module, "attention_bias_cache"):
            module.attention_bias_cache = {}
    headless = not hasattr(model, "classifier")
    run = lambda model, pixels: model(pixels).pooler_output if headless else model(pixels).logits
    return captured.reference(model, images, preprocess, _taps, run, "pooled" if headless else "logits")


def _taps(kept: Captured) -> dict[str, Any]:
    encoder, found = next(name for name in kept.modules if name.endswith("encoder")), {}
    found["embed"] = kept.gave[encoder.replace("encoder", "patch_embeddings")]
    stages = kept.modules[encoder].stages
    for stage, module in enumerate(stages):
        layers, start = len(module.layers), f"{encoder}.stages.{stage}.layers."
        blocks = 2 * module.config.depths[stage]
        for layer in range(0, blocks, 2):
            ours = _block(f"{start}{layer}.module", f"{start}{layer + 1}.module", kept)
            ours["resid_pre"] = kept.read[f"{start}{layer}"]
            found |= {f"stages.{stage}.blocks.{layer // 2}.{tap}": value for tap, value in ours.items()}
        if layers > blocks:
            ours = _block(f"{start}{blocks}", f"{start}{blocks + 1}.module", kept)
            found |= {f"stages.{stage + 1}.down.{tap}": value for tap, value in ours.items()}
            found[f"stages.{stage + 1}.embed"] = kept.gave[f"{start}{blocks + 1}"]
    found["pooled"] = kept.gave[f"{encoder}.stages.{len(stages) - 1}"].mean(dim=1)
    return found


def _block(attention: str, mlp: str, kept: Captured) -> dict[str, Any]:
    module, size = kept.modules[attention], kept.modules[attention].key_dim
    heads = lambda layer: kept.gave[f"{attention}.{layer}"].unflatten(-1, (module.num_attention_heads, -1)).mT
    wide = module.attention_ratio * size
    if hasattr(module, "queries"):
        q, (k, v) = heads("queries"), heads("keys_values").split([size, wide], dim=-2)
    else:
        q, k, v = heads("queries_keys_values").split([size, size, wide], dim=-2)
    q, k, v = (part.permute(0, 3, 1, 2) for part in (q, k, v))
    inside = products(q, k, v, module.get_attention_biases(q.device))
    inside["mixed"], inside["z"] = inside["z"], module.activation(inside["z"])
    middle = kept.read[mlp]
    return {
        **{f"attn.{tap}": value for tap, value in inside.items()},
        "attn.out": kept.gave[attention],
        "resid_mid": middle,
        "mlp.pre": kept.gave[f"{mlp}.linear_up"],
        "mlp.hidden": kept.read[f"{mlp}.linear_down"],
        "mlp.out": kept.gave[mlp],
        "resid_post": middle + kept.gave[mlp],
    }
