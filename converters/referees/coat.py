"""Runs a CoaT or CoaT-Lite of timm and gives its activations by our names, and its gradient."""

from typing import Any

import numpy as np

from converters.referees import captured
from converters.referees.captured import Captured
from converters.referees.parity import Reference
from vitjax.models.core.config import Preprocess

SERIAL, PARALLEL = "serial_blocks", "parallel_blocks"  # timm's names


def reference(model: Any, images: np.ndarray, preprocess: Preprocess) -> Reference:
    """Runs a model, in evaluation mode, on images [batch, height, width, 3] in [0, 1] of the model's dtype."""
    return captured.reference(model, images, preprocess, _taps, output="logits" if model.num_classes else "pooled")


def _taps(kept: Captured) -> dict[str, Any]:
    found = {"norm": kept.gave["norm4"], "pooled": kept.gave["head_drop"]}
    for name, module in kept.modules.items():
        kind, _, number = name.partition(".")
        if type(module).__name__ == "SerialBlock":
            scale = int(kind.removeprefix(SERIAL))
            if number == "0":
                found["embed" if scale == 1 else f"stages.{scale - 1}.embed"] = kept.read[name]
            ours, of_block = f"stages.{scale - 1}.blocks.{number}", _serial(name, module, kept, scale)
        elif type(module).__name__ == "ParallelBlock":
            ours, of_block = f"stages.4.blocks.{number}", _parallel(name, module, kept)
        else:
            continue
        found |= {f"{ours}.{tap}": value for tap, value in of_block.items()}
    if PARALLEL in kept.modules:
        found |= {"scale1.norm": kept.gave["norm2"], "scale2.norm": kept.gave["norm3"]}
    return found


def _serial(name: str, block: Any, kept: Captured, scale: int) -> dict[str, Any]:
    before, middle = kept.read[f"{name}.norm1"], kept.read[f"{name}.norm2"]
    return {
        **_attention(f"{name}.factoratt_crpe", block.factoratt_crpe, kept, scale),
        "resid_pre": before,
        "resid_mid": middle,
        "mlp.pre": kept.gave[f"{name}.mlp.fc1"],
        "mlp.hidden": kept.read[f"{name}.mlp.fc2"],
        "mlp.out": kept.gave[f"{name}.mlp"],
        "resid_post": kept.gave[name],
    }


def _parallel(name: str, block: Any, kept: Captured) -> dict[str, Any]:
    """A parallel block's MLP, which is called once for each scale, runs anew for what hooks saw of the last alone."""
    found = {}
    for scale in (2, 3, 4):
        before, middle = kept.read[f"{name}.norm1{scale}"], kept.read[f"{name}.norm2{scale}"]
        pre = block.mlp2.fc1(kept.gave[f"{name}.norm2{scale}"])
        hidden = block.mlp2.act(pre.clone())
        out = block.mlp2.fc2(hidden)
        taps = {
            **_attention(f"{name}.factoratt_crpe{scale}", getattr(block, f"factoratt_crpe{scale}"), kept, scale),
            "resid_pre": before,
            "attn.mixed": middle - before,
            "resid_mid": middle,
            "mlp.pre": pre,
            "mlp.hidden": hidden,
            "mlp.out": out,
            "resid_post": middle + out,
        }
        found |= {f"scale{scale - 1}.{tap}": value for tap, value in taps.items()}
    return found


def _attention(name: str, attention: Any, kept: Captured, scale: int) -> dict[str, Any]:
    qkv = kept.gave[f"{name}.qkv"].unflatten(-1, (3, attention.num_heads, -1))
    q, k, v = qkv.permute(2, 0, 3, 1, 4)
    position = attention.crpe(q, v, size=kept.modules[f"patch_embed{scale}"].grid_size)
    found = {"q": q, "k": k, "v": v, "position": position}
    return {
        **{f"attn.{tap}": value.transpose(1, 2) for tap, value in found.items()},
        "attn.context": k.softmax(dim=2).mT @ v,
        "attn.z": kept.read[f"{name}.proj"].unflatten(-1, (attention.num_heads, -1)),
        "attn.out": kept.gave[name],
    }
