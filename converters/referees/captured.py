"""Runs a model of torch and keeps what its modules read and gave, for referees that name these by our taps."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from converters.referees.parity import Reference
from vitjax.models.core.config import Preprocess


@dataclass(frozen=True)
class Captured:
    """What the modules of a model read and gave when they were last called, by their names; tensors of torch."""

    read: Mapping[str, Any]
    gave: Mapping[str, Any]
    modules: Mapping[str, Any]

    def __contains__(self, name: str) -> bool:
        return name in self.gave


Taps = Callable[[Captured], Mapping[str, Any]]  # from what was captured to every activation by our names, but logits
Run = Callable[[Any, Any], Any]  # of a model on normalised images [batch, color, row, column], to its output


def reference(
    model: Any, images: np.ndarray, preprocess: Preprocess, taps: Taps, run: Run | None = None, output: str = "logits"
) -> Reference:
    """Runs a model, in evaluation mode, on images [batch, height, width, 3] in [0, 1] of the model's dtype.

    The picked unit of each image is the largest of its output.

    Args:
        model: of any library on torch.
        images: for it.
        preprocess: of our model; its mean and std are applied.
        taps: names the activations.
        run: how the model gives its output; default by a call.
        output: our name of it.
    """
    import torch

    modules, read, gave, hooks = dict(model.named_modules()), {}, {}, []
    for name, module in modules.items():  # copies, as activation functions write over what they read
        before = lambda module, inputs, name=name: read.__setitem__(name, _copied(inputs[0] if inputs else None))
        after = lambda module, inputs, output, name=name: gave.__setitem__(name, _copied(output))
        hooks += [module.register_forward_pre_hook(before), module.register_forward_hook(after)]
    pixels = torch.tensor(images, requires_grad=True)
    mean, std = (torch.tensor(value, dtype=pixels.dtype) for value in (preprocess.mean, preprocess.std))
    end = (run or (lambda model, pixels: model(pixels)))(model, ((pixels - mean) / std).permute(0, 3, 1, 2))
    for hook in hooks:
        hook.remove()
    flat = end.flatten(1)
    units = flat.argmax(dim=1)
    flat.gather(1, units[:, None]).sum().backward()
    with torch.no_grad():
        found = {**taps(Captured(read, gave, modules)), output: end}
    found = {tap: value.detach().numpy() for tap, value in found.items()}
    return Reference(images, found, units.numpy(), pixels.grad.numpy())


def products(q: Any, k: Any, v: Any, bias: Any = 0, scale: float | None = None) -> dict[str, Any]:
    """Gives an attention's activations up to z, from q, k, v [batch, head, token, channel] and what is added.

    Returns:
        {"q", "k", "v", "z": [batch, token, head, channel], "scores", "probs": [batch, head, query, key]}.
    """
    scores = q @ k.mT * (q.shape[-1] ** -0.5 if scale is None else scale) + bias
    probs = scores.softmax(dim=-1)
    heads = {name: part.transpose(1, 2) for name, part in (("q", q), ("k", k), ("v", v), ("z", probs @ v))}
    return {**heads, "scores": scores, "probs": probs}


def stream(name: str, kept: Captured) -> dict[str, Any]:
    """Gives what a pre-norm block by timm's names reads, adds to its stream and makes of it, by our names."""
    return {
        "resid_pre": kept.read[name],
        "attn.out": kept.gave[f"{name}.attn"],
        "resid_mid": kept.read[f"{name}.norm2"],
        "mlp.pre": kept.gave[f"{name}.mlp.fc1"],
        "mlp.hidden": kept.read[f"{name}.mlp.fc2"],
        "mlp.out": kept.gave[f"{name}.mlp"],
        "resid_post": kept.gave[name],
    }


def _copied(value: Any) -> Any:
    return value.detach().clone() if hasattr(value, "detach") else None
