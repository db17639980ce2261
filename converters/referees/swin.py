"""Runs a Swin Transformer or Swin V2 of timm and gives its activations by our names, and its gradient."""

from typing import Any

import numpy as np

from converters.referees import captured
from converters.referees.captured import Captured, products
from converters.referees.parity import Reference
from vitjax.models.core.config import Preprocess


def reference(model: Any, images: np.ndarray, preprocess: Preprocess) -> Reference:
    """Runs a model, in evaluation mode, on images [batch, height, width, 3] in [0, 1] of the model's dtype."""
    return captured.reference(model, images, preprocess, _taps, output="logits" if model.num_classes else "pooled")


def _taps(kept: Captured) -> dict[str, Any]:
    found = {"embed": kept.gave["patch_embed"].flatten(1, 2), "norm": kept.gave["norm"].flatten(1, 2)}
    found["pooled"] = found["norm"].mean(dim=1)
    for name, module in kept.modules.items():
        if not (hasattr(module, "window_size") and hasattr(module, "mlp")):
            continue
        _, stage, _, number = name.split(".")
        if stage != "0" and number == "0":
            found[f"stages.{stage}.embed"] = kept.read[name].flatten(1, 2)
        ours = _block(name, module, kept)
        found |= {f"stages.{stage}.blocks.{number}.{tap}": value for tap, value in ours.items()}
    return found


def _block(name: str, block: Any, kept: Captured) -> dict[str, Any]:
    tokens = kept.read[name]
    _, rows, columns, _ = tokens.shape
    second = hasattr(block.attn, "logit_scale")
    parts = (_cosine if second else _plain)(block.attn, kept.read[f"{name}.attn"])
    parts["bias"] = parts["bias"] + masks(block.attn_mask, len(parts["q"]))
    flat = lambda value: value.reshape(len(tokens), rows * columns, -1)
    middle = flat(kept.read[f"{name}.mlp" if second else f"{name}.norm2"])
    return {
        **windowed(products(**parts), (rows, columns), block.window_size, block.shift_size),
        "resid_pre": flat(tokens),
        "attn.out": flat(kept.gave[f"{name}.norm1"]) if second else middle - flat(tokens),
        "resid_mid": middle,
        "mlp.pre": flat(kept.gave[f"{name}.mlp.fc1"]),
        "mlp.hidden": flat(kept.read[f"{name}.mlp.fc2"]),
        "mlp.out": flat(kept.gave[f"{name}.norm2" if second else f"{name}.mlp"]),
        "resid_post": flat(kept.gave[name]),
    }


def masks(mask: Any, windows: int) -> Any:
    """A mask [window, query, key] for so many windows of a batch, with an axis of heads; 0 for none."""
    return 0 if mask is None else mask.repeat(windows // len(mask), 1, 1)[:, None]


def windowed(
    inside: dict[str, Any], grid: tuple[int, int], window: tuple[int, int], shift: tuple[int, int], first: bool = False
) -> dict[str, Any]:
    """An attention's activations in windows, as `products` gives them, as our taps show them.

    Args:
        inside: of windows.
        grid, window, shift: rows and columns.
        first: whether the grid is filled up before it is rolled.
    """
    import torch

    (rows, columns), (down, across) = grid, (-(-side // size) for side, size in zip(grid, window, strict=True))

    def joined(value: Any) -> Any:
        value = value.unflatten(1, tuple(window)).unflatten(0, (-1, down, across))
        value = value.transpose(2, 3).flatten(3, 4).flatten(1, 2)
        roll = lambda value: torch.roll(value, tuple(shift), (1, 2))
        return roll(value)[:, :rows, :columns] if first else roll(value[:, :rows, :columns])

    found = {f"attn.{tap}": joined(inside[tap]) for tap in "qkvz"}
    return found | {f"attn.{tap}": inside[tap].unflatten(0, (-1, down * across)) for tap in ("scores", "probs")}


def _plain(attention: Any, x: Any) -> dict[str, Any]:
    q, k, v = _split(attention.qkv(x), attention.num_heads)
    return {"q": q, "k": k, "v": v, "bias": attention._get_rel_pos_bias()}


def _cosine(attention: Any, x: Any) -> dict[str, Any]:
    import torch

    own = [attention.q_bias, attention.k_bias, attention.v_bias]
    bias = None if attention.q_bias is None else torch.cat(own)
    q, k, v = _split(torch.nn.functional.linear(x, attention.qkv.weight, bias), attention.num_heads)
    q, k = (torch.nn.functional.normalize(part, dim=-1) for part in (q, k))
    return {"q": q, "k": k, "v": v, "bias": log_bias(attention, attention.cpb_mlp), "scale": steepness(attention)}


def steepness(attention: Any) -> Any:
    """What the cosines of each head are multiplied by, [head, 1, 1]."""
    return attention.logit_scale.clamp(max=np.log(100.0)).exp()


def log_bias(attention: Any, mlp: Any) -> Any:
    """The bias [head, query, key] that Swin V2's MLP makes of distances."""
    table = mlp(attention.relative_coords_table).flatten(0, -2)
    tokens = int(attention.window_size[0] * attention.window_size[1])
    return 16 * table[attention.relative_position_index.flatten()].sigmoid().unflatten(0, (tokens, -1)).permute(2, 0, 1)


def _split(qkv: Any, heads: int) -> Any:
    """q, k and v, [window, head, token, channel]."""
    return qkv.unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4)
