"""Runs a Swin Transformer or Swin V2 of Hugging Face transformers: its activations by our names, and its gradient."""

from functools import partial
from typing import Any

import numpy as np

from converters.referees import captured
from converters.referees.captured import Captured, products
from converters.referees.parity import Reference
from converters.referees.swin import log_bias, masks, steepness, windowed
from vitjax.models.core.config import Preprocess


def reference(model: Any, images: np.ndarray, preprocess: Preprocess) -> Reference:
    """Runs a model, in evaluation mode, on images [batch, height, width, 3] in [0, 1] of the model's dtype."""
    head = hasattr(model, "classifier") and hasattr(model.classifier, "weight")
    run = lambda model, pixels: model(pixels).logits if hasattr(model, "classifier") else model(pixels).pooler_output
    patches = next(module for name, module in model.named_modules() if name.endswith("patch_embeddings"))
    taps = partial(_taps, patches.grid_size)
    return captured.reference(model, images, preprocess, taps, run, output="logits" if head else "pooled")


def _taps(grid: tuple[int, int], kept: Captured) -> dict[str, Any]:
    p = next(name for name in kept.gave if name.endswith("layernorm") and "layers" not in name)
    found = {"norm": kept.gave[p], "pooled": kept.gave[p].mean(dim=1)}
    for name, module in kept.modules.items():
        if not hasattr(module, "layernorm_before"):
            continue
        *_, stage, _, number = name.split(".")
        here = tuple(-(-side // 2 ** int(stage)) for side in grid)
        if number == "0":
            found["embed" if stage == "0" else f"stages.{stage}.embed"] = kept.read[name]
        found |= {f"stages.{stage}.blocks.{number}.{tap}": value for tap, value in _block(name, module, kept, here)}
    return found


def _block(name: str, block: Any, kept: Captured, grid: tuple[int, int]) -> Any:
    second, size, before = hasattr(block, "intermediate"), int(block.window_size), kept.read[name]
    x = kept.read[f"{name}.attention"]
    parts = (_cosine if second else _plain)(block.attention, x)
    filled = (-(-side // size) * size for side in grid)
    mask = block.get_attn_mask(*filled, dtype=x.dtype, device=x.device)
    parts["bias"] = parts["bias"] + (2 if second else 1) * masks(mask, len(x))  # Swin V2 adds it twice
    inside = windowed(products(**parts), grid, (size, size), (int(block.shift_size),) * 2, first=True)
    middle = kept.read[f"{name}.intermediate" if second else f"{name}.layernorm_after"]
    out = kept.gave[f"{name}.layernorm_after" if second else f"{name}.mlp"]
    yield from inside.items()
    yield "resid_pre", before
    yield "attn.out", kept.gave[f"{name}.layernorm_before"] if second else middle - before
    yield "resid_mid", middle
    yield "mlp.pre", kept.gave[f"{name}.intermediate.dense" if second else f"{name}.mlp.fc1"]
    yield "mlp.hidden", kept.read[f"{name}.output.dense" if second else f"{name}.mlp.fc2"]
    yield "mlp.out", out
    yield "resid_post", middle + out


def _plain(attention: Any, x: Any) -> dict[str, Any]:
    q, k, v = (_heads(layer(x), attention.head_dim) for layer in (attention.q_proj, attention.k_proj, attention.v_proj))
    return {"q": q, "k": k, "v": v, "bias": attention.relative_position_bias()}


def _cosine(attention: Any, x: Any) -> dict[str, Any]:
    import torch

    own = attention.self
    q, k, v = (_heads(layer(x), own.attention_head_size) for layer in (own.query, own.key, own.value))
    q, k = (torch.nn.functional.normalize(part, dim=-1) for part in (q, k))
    bias = log_bias(own, own.continuous_position_bias_mlp)
    return {"q": q, "k": k, "v": v, "bias": bias, "scale": steepness(own)}


def _heads(x: Any, width: int) -> Any:
    """[window, head, token, channel] of [window, token, channel]."""
    return x.unflatten(-1, (-1, width)).transpose(1, 2)
