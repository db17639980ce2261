"""Runs a Vision Transformer of timm and gives its activations under our names, and its gradient."""

import importlib
import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from converters.referees import torch_vit
from converters.referees.parity import Reference
from vitjax.models.core.config import Preprocess, ViTConfig
from vitjax.weights.save import timm_config


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


def reference(model: Any, images: np.ndarray, preprocess: Preprocess, output: str = "logits") -> Reference:
    """Runs a ViT of timm, in evaluation mode, on images [batch, height, width, 3] in [0, 1] of the model's dtype.

    `output` is our name of what a head of it gives.
    """
    output = output if model.num_classes else "pooled"
    heads = [model.head, *([model.head_dist] if hasattr(model, "head_dist") else [])]
    run = lambda model, pixels: {output: model(pixels)}
    return torch_vit.reference(model, images, preprocess, model.blocks, model.norm, heads, run)


def alike(config: ViTConfig, **changes: Any) -> Any:
    """Makes a model of timm of a config's sizes, without its weights; `changes` are arguments of timm's."""
    described = timm_config(config, licence="")
    return import_timm().create_model(described["architecture"], **described["model_args"] | changes)
