"""Runs a model of Hugging Face transformers and gives its activations under our names, and its gradient."""

from typing import Any

import numpy as np

from converters.referees import torch_vit
from converters.referees.parity import Reference
from vitjax.models.core.config import Preprocess

BLOCKS = ("layers", "encoder.layer", "model.layer", "encoder.layers")
NORMS = ("layernorm", "norm", "post_layernorm")
HEADS = ("classifier", "cls_classifier", "distillation_classifier", "visual_projection")
TOWERS = ("vit", "deit", "dinov2", "dinov2_with_registers", "beit", "vision_model")


def reference(model: Any, images: np.ndarray, preprocess: Preprocess) -> Reference:
    """Runs a model of transformers, in evaluation mode, on images [batch, height, width, 3] in [0, 1] of its dtype.

    Of a model with two towers the image tower runs, and the projection after it.
    """
    parts = dict(model.named_modules())
    tower = next((f"{name}." for name in TOWERS if name in parts), "")
    blocks = next(parts[tower + name] for name in BLOCKS if tower + name in parts)
    norm = next(parts[start + name] for start in ("", tower) for name in NORMS if start + name in parts)
    heads = [parts[name] for name in HEADS if name in parts]
    return torch_vit.reference(model, images, preprocess, blocks, norm, heads, _run)


def _run(model: Any, pixels: Any) -> dict[str, Any]:
    """The model's end: "logits", "embedding" of one with a projection, else "pooled"."""
    import torch

    kind, side = model.config.model_type, getattr(model.config, "vision_config", model.config)
    if kind == "vit_mae":  # without the masking, and the decoder that needs it
        model.config.mask_ratio = 0.0
        encoder = getattr(model, "vit", model)
        patches = encoder.embeddings.patch_embeddings.num_patches
        order = torch.arange(float(patches)).expand(len(pixels), -1)
        return {"pooled": encoder(pixels, noise=order).last_hidden_state[:, 0]}
    if kind.startswith("siglip2"):  # it takes patches, [row, column, channel] in one
        rows, columns = (length // side.patch_size for length in pixels.shape[2:])
        patches = pixels.unflatten(2, (rows, -1)).unflatten(4, (columns, -1)).permute(0, 2, 4, 3, 5, 1)
        patches = patches.reshape(len(pixels), rows * columns, -1)
        shapes = torch.tensor([[rows, columns]] * len(pixels))
        return {"pooled": model(patches, None, shapes).pooler_output}
    if hasattr(model, "lm_head"):  # BEiT's guess of hidden patches; the model ends before it
        return {"pooled": model.layernorm(model.beit(pixels).last_hidden_state)[:, 0]}
    resized = kind not in ("beit", "dinov2", "dinov2_with_registers", "dinov3_vit")
    settings = {"interpolate_pos_encoding": True} if resized and list(pixels.shape[2:]) != [side.image_size] * 2 else {}
    if hasattr(model, "get_image_features"):
        end = model.get_image_features(pixels, **settings).pooler_output
        return {"embedding" if hasattr(model, "visual_projection") else "pooled": end}
    output = model(pixels, **settings)
    found = {"image_embeds": "embedding", "logits": "logits", "pooler_output": "pooled"}
    return next({tap: output[name]} for name, tap in found.items() if output.get(name) is not None)
