"""Runs a Vision Transformer of a torch library and gives its activations under our names, and its gradient."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from unittest.mock import patch

import numpy as np

from converters.referees.parity import Reference
from vitjax.models.core.config import Preprocess

# What libraries call the parts of a block; of several spellings a block has one.
POOLS = ("attn_pool", "vision_model.head", "head")  # modules of a model that pool by attention
NORM2 = ("norm2", "layernorm_after", "layer_norm2")
PROJ = ("attn.proj", "attention.o_proj", "self_attn.out_proj")
FC1 = ("mlp.fc1", "mlp.fc1_g", "mlp.gate_proj", "mlp.fc1_x", "mlp.up_proj")  # one, or gate and then up
FC2 = ("mlp.fc2", "mlp.down_proj")
SCALES = {"attn.out": ("gamma_1", "lambda_1"), "mlp.out": ("gamma_2", "lambda_2")}  # parameters of a block
SCALED = {"attn.out": ("ls1", "layer_scale1"), "mlp.out": ("ls2", "layer_scale2")}  # modules


def reference(
    model: Any,
    images: np.ndarray,
    preprocess: Preprocess,
    blocks: Sequence[Any],
    norm: Any,
    heads: Sequence[Any],
    run: Callable[[Any, Any], Mapping[str, Any]],
) -> Reference:
    """Runs a model, in evaluation mode, on images [batch, height, width, 3] in [0, 1] of the model's dtype.

    The picked unit of each image is its largest output.

    Args:
        model: whose attention goes through torch's `scaled_dot_product_attention`.
        images: see above.
        preprocess: for mean and std.
        blocks: its Transformer blocks.
        norm: its last LayerNorm, or None; where it stands after pooling, the tap is the last block's output.
        heads: classifiers or projections that all read the pooled activation; none if `run` gives it.
        run: (model, normalised images [batch, channel, height, width]) to its last activations by our names.
    """
    import torch

    kept, hooks, attention = {}, [], []

    def keep(module, inputs, output):
        kept[module] = inputs[0] if inputs else None, output

    for module in model.modules():
        hooks.append(module.register_forward_hook(keep))
    pixels = torch.tensor(images, requires_grad=True)
    mean, std = (torch.tensor(value, dtype=pixels.dtype) for value in (preprocess.mean, preprocess.std))
    with patch.object(torch.nn.functional, "scaled_dot_product_attention", _recorder(attention)):
        ends = dict(run(model, ((pixels - mean) / std).permute(0, 3, 1, 2)))
    for hook in hooks:
        hook.remove()

    values = {}
    for i, (block, (q, k, v, bias)) in enumerate(zip(blocks, attention, strict=False)):
        values |= {f"blocks.{i}.{site}": value for site, value in _block(block, kept, q, k, v, bias).items()}
    last = values[f"blocks.{len(blocks) - 1}.resid_post"]
    values["embed"] = values["blocks.0.resid_pre"]
    values["norm"] = kept[norm][1] if norm in kept and kept[norm][1].shape == last.shape else last
    if heads:
        read = [kept[head][0] for head in heads]
        values["pooled"] = torch.stack(read, dim=1) if len(read) > 1 else read[0]
    values |= ends
    if pools := _pools(model, kept):
        heads_of = attention[-1][:3] if len(attention) > len(blocks) else _projected(pools, kept, values["norm"])
        found = _pool(pools, kept, *heads_of)
        if torch.allclose(found["resid_mid"] + found["mlp.out"], values["pooled"]):  # or it runs and is not read
            values |= {f"pool.{name}": value for name, value in found.items()}
    flat = next(values[end] for end in ("logits", "embedding", "pooled") if end in values).flatten(1)
    units = flat.argmax(dim=1)
    flat.gather(1, units[:, None]).sum().backward()
    taps = {tap: value.detach().numpy() for tap, value in values.items()}
    return Reference(images, taps, units.numpy(), pixels.grad.numpy())


def _recorder(calls: list[tuple]):
    """Torch's attention, noting q, k, v [batch, head, token, channel] and bias of each call."""
    import torch

    attend = torch.nn.functional.scaled_dot_product_attention

    def record(query, key, value, attn_mask=None, *args, **kwargs):
        calls.append((query, key, value, attn_mask))
        return attend(query, key, value, attn_mask, *args, **kwargs)

    return record


def _block(block: Any, kept: Mapping[Any, tuple], q: Any, k: Any, v: Any, bias: Any) -> dict[str, Any]:
    """A block's activations by their names in it."""
    import torch

    parts = dict(block.named_modules())
    pick = lambda names: [kept[parts[name]] for name in names if parts.get(name) in kept]
    branches = {"attn.out": pick(PROJ)[0][1], "mlp.out": pick(FC2)[0][1]}
    for site, out in branches.items():
        scaled = pick(SCALED[site])
        factor = next((getattr(block, name) for name in SCALES[site] if getattr(block, name, None) is not None), 1)
        branches[site] = scaled[0][1] if scaled else out * factor
    z = pick(PROJ)[0][0]
    return {
        "resid_pre": kept[block][0],
        **_products(q, k, v, bias),
        "attn.z": z.unflatten(-1, (q.shape[1], -1)),
        "resid_mid": pick(NORM2)[0][0],
        "mlp.pre": torch.cat([output for _, output in pick(FC1)], dim=-1),
        "mlp.hidden": pick(FC2)[0][0],
        "resid_post": kept[block][1],
        **branches,
    }


def _products(q: Any, k: Any, v: Any, bias: Any) -> dict[str, Any]:
    """An attention's activations up to its probabilities, from q, k, v [batch, head, token, channel]."""
    scores = q @ k.mT * q.shape[-1] ** -0.5 + (0 if bias is None else bias)
    heads = {f"attn.{name}": value.transpose(1, 2) for name, value in (("q", q), ("k", k), ("v", v))}
    return {**heads, "attn.scores": scores, "attn.probs": scores.softmax(dim=-1)}


def _pools(model: Any, kept: Mapping[Any, tuple]) -> dict[str, Any]:
    """The modules of a pooling by attention, by their names in it; none if the model pools otherwise."""
    parts = dict(model.named_modules())
    found = (dict(parts[name].named_modules()) for name in POOLS if parts.get(name) in kept)
    return next((inside for inside in found if "mlp.fc1" in inside), {})


def _projected(pools: Mapping[str, Any], kept: Mapping[Any, tuple], tokens: Any) -> list[Any]:
    """q, k, v of torch's `MultiheadAttention`, which runs no module for them, [batch, head, token, channel]."""
    import torch

    attention = pools["attention"]
    parts = zip(attention.in_proj_weight.chunk(3), attention.in_proj_bias.chunk(3), strict=True)
    read = (kept[attention][0], tokens, tokens)
    found = [torch.nn.functional.linear(x, *part) for x, part in zip(read, parts, strict=True)]
    return [x.unflatten(-1, (attention.num_heads, -1)).transpose(1, 2) for x in found]


def _pool(pools: Mapping[str, Any], kept: Mapping[Any, tuple], q: Any, k: Any, v: Any) -> dict[str, Any]:
    """The activations of a pooling by attention, whose one query has no axis of its own."""
    found = _products(q, k, v, None)
    found["attn.z"] = (found["attn.probs"] @ v).transpose(1, 2)
    before = kept[pools["norm" if "norm" in pools else "layernorm"]][0]
    found |= {"attn.out": before, "resid_mid": before}
    (_, pre), (hidden, out) = (kept[pools[f"mlp.{name}"]] for name in ("fc1", "fc2"))
    found |= {"mlp.pre": pre, "mlp.hidden": hidden, "mlp.out": out}
    query = {"attn.k": None, "attn.v": None, "attn.scores": 2, "attn.probs": 2}
    axes = {tap: query.get(tap, 1) for tap in found}
    return {tap: value if axes[tap] is None else value.squeeze(axes[tap]) for tap, value in found.items()}
