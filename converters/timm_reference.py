"""A model of timm and images in, its activations under our names and its gradient out."""

import importlib
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from converters.parity import Reference
from vitjax.models.config import Preprocess

INPUTS = {  # timm's module: the tap that is its input
    "blocks.{i}": "blocks.{i}.resid_pre",
    "blocks.{i}.attn.proj": "blocks.{i}.attn.z",
    "blocks.{i}.norm2": "blocks.{i}.resid_mid",
    "blocks.{i}.mlp.fc2": "blocks.{i}.mlp.hidden",
    "head": "pooled",
    "head_dist": "pooled distilled",
}
OUTPUTS = {  # timm's module: the tap that is its output
    "blocks.{i}.attn.qkv": "blocks.{i}.attn.qkv",
    "blocks.{i}.ls1": "blocks.{i}.attn.out",
    "blocks.{i}.mlp.fc1": "blocks.{i}.mlp.pre",
    "blocks.{i}.ls2": "blocks.{i}.mlp.out",
    "blocks.{i}": "blocks.{i}.resid_post",
    "norm": "norm",
}


def import_timm() -> ModuleType:
    """Imports timm, beside a torch without the CUDA operators that torchvision was built for too.

    Torchvision's Python part, all that timm needs, registers shapes for its compiled operators when it is imported
    and fails if they could not be loaded; it is enough that their names are declared.
    """
    try:
        importlib.import_module("torchvision")
    except RuntimeError:
        import torch

        folder = Path(importlib.util.find_spec("torchvision").origin).parent
        source = (folder / "_meta_registrations.py").read_text()
        names = re.findall(r'register_(?:fake\("torchvision::|meta\(")(\w+)', source)
        import_timm.library = torch.library.Library("torchvision", "DEF")  # the names live as long as this object
        for name in set(names):
            import_timm.library.define(f"{name}(Tensor x) -> Tensor")
    return importlib.import_module("timm")


def reference(model: Any, images: np.ndarray, preprocess: Preprocess) -> Reference:
    """Runs a model of timm, in evaluation mode, on images [batch, height, width, 3] in [0, 1] of the model's dtype.

    The picked unit of each image is its largest output.
    """
    import torch

    values: dict[str, torch.Tensor] = {}
    hooks = []
    for table, is_input in ((INPUTS, True), (OUTPUTS, False)):
        for tap, module in _modules(model, table):
            hooks.append(module.register_forward_hook(_keeper(values, tap, is_input)))
    pixels = torch.tensor(images, requires_grad=True)
    mean, std = (torch.tensor(value, dtype=pixels.dtype) for value in (preprocess.mean, preprocess.std))
    output = model(((pixels - mean) / std).permute(0, 3, 1, 2))
    for hook in hooks:
        hook.remove()

    values["embed"] = values["blocks.0.resid_pre"]
    for i, block in enumerate(model.blocks):
        _attention(values, f"blocks.{i}.attn", block.attn.num_heads)
    if (distilled := values.pop("pooled distilled", None)) is not None:
        values["pooled"] = torch.stack([values["pooled"], distilled], dim=1)
    if model.num_classes:
        values["logits"] = output
    flat = values["logits" if model.num_classes else "pooled"].flatten(1)
    units = flat.argmax(dim=1)
    flat.gather(1, units[:, None]).sum().backward()
    taps = {tap: value.detach().numpy() for tap, value in values.items()}
    return Reference(images, taps, units.numpy(), pixels.grad.numpy())


def _modules(model: Any, table: dict[str, str]) -> Iterator[tuple[str, Any]]:
    """Yields (tap, module) for every module of a table that the model has."""
    named = dict(model.named_modules())
    for path, tap in table.items():
        for i in range(len(model.blocks) if "{i}" in path else 1):
            if path.format(i=i) in named:
                yield tap.format(i=i), named[path.format(i=i)]


def _keeper(values: dict[str, Any], tap: str, is_input: bool):
    def keep(module, inputs, output):
        values[tap] = inputs[0] if is_input else output

    return keep


def _attention(values: dict[str, Any], attn: str, heads: int) -> None:
    """Splits what timm computes in one piece: q, k, v [batch, token, head, channel], scores and probabilities."""
    fused = values.pop(f"{attn}.qkv")
    q, k, v = fused.unflatten(-1, (3, heads, -1)).unbind(dim=2)
    scores = (q.transpose(1, 2) @ k.permute(0, 2, 3, 1)) * q.shape[-1] ** -0.5
    z = values[f"{attn}.z"].unflatten(-1, (heads, -1))
    parts = {"q": q, "k": k, "v": v, "scores": scores, "probs": scores.softmax(dim=-1), "z": z}
    values |= {f"{attn}.{name}": part for name, part in parts.items()}
