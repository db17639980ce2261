"""The files of T2T-ViT against a forward pass written from its description alone, in float64: every activation.

Its own code is no package that could be installed; torch is the arithmetic here, its `unfold` the order of a patch.
"""

import numpy as np
import pytest

from converters.referees.captured import products
from converters.referees.parity import GRADIENT, Reference, relative_errors
from vitjax.weights.load import load

EXACT = 1e-9
NARROW, WIDE, HEADS, DEPTH, FEATURES, CLASSES, SIDE = 8, 128, 2, 2, 5, 7, 32
NAMES = {"performer": "81.5_T2T_ViT_14", "transformer": "81.7_T2T_ViTt_14"}


def published(kind: str, side: int = SIDE, seed: int = 0) -> dict[str, np.ndarray]:
    """Random tensors by the names of the published files, of a small model of a kind of token layers."""
    draw = np.random.default_rng(seed).standard_normal
    tensors: dict[str, np.ndarray] = {}

    def dense(name: str, reads: int, gives: int, bias: bool = True) -> None:
        tensors[f"{name}.weight"] = draw((gives, reads)) * reads**-0.5
        if bias:
            tensors[f"{name}.bias"] = 0.3 * draw(gives)

    def norm(name: str, width: int) -> None:
        tensors[f"{name}.weight"], tensors[f"{name}.bias"] = 1 + 0.2 * draw(width), 0.2 * draw(width)

    for number, reads in ((1, 147), (2, 9 * NARROW)):
        layer, performer = f"tokens_to_token.attention{number}", kind == "performer"
        norm(f"{layer}.norm1", reads)
        norm(f"{layer}.norm2", NARROW)
        dense(f"{layer}.kqv" if performer else f"{layer}.attn.qkv", reads, 3 * NARROW, bias=performer)
        dense(f"{layer}.proj" if performer else f"{layer}.attn.proj", NARROW, NARROW)
        dense(f"{layer}.mlp.{'0' if performer else 'fc1'}", NARROW, NARROW)
        dense(f"{layer}.mlp.{'2' if performer else 'fc2'}", NARROW, NARROW)
        if performer:
            tensors[f"{layer}.w"] = draw((FEATURES, NARROW))
    dense("tokens_to_token.project", 9 * NARROW, WIDE)
    tensors["cls_token"], tensors["pos_embed"] = draw((1, 1, WIDE)), draw((1, (side // 16) ** 2 + 1, WIDE))
    for number in range(DEPTH):
        norm(f"blocks.{number}.norm1", WIDE)
        norm(f"blocks.{number}.norm2", WIDE)
        dense(f"blocks.{number}.attn.qkv", WIDE, 3 * WIDE, bias=False)
        dense(f"blocks.{number}.attn.proj", WIDE, WIDE)
        dense(f"blocks.{number}.mlp.fc1", WIDE, 3 * WIDE)
        dense(f"blocks.{number}.mlp.fc2", 3 * WIDE, WIDE)
    norm("norm", WIDE)
    dense("head", WIDE, CLASSES)
    return {name: np.float32(tensor) for name, tensor in tensors.items()}


def reference(tensors: dict[str, np.ndarray], images: np.ndarray, *, eps=1e-5, least=1e-8, shortcut="v", scale=None):
    """Every activation, logits and image gradient, in float64; the keywords are what steps into a trap."""
    import torch
    from torch.nn import functional

    w = {name: torch.tensor(tensor, dtype=torch.float64) for name, tensor in tensors.items()}
    performer, found = "tokens_to_token.attention1.w" in w, {}

    def dense(name, x):
        return functional.linear(x, w[f"{name}.weight"], w.get(f"{name}.bias"))

    def norm(name, x):
        return functional.layer_norm(x, x.shape[-1:], w[f"{name}.weight"], w[f"{name}.bias"], eps)

    def heads(x, count):
        return x.unflatten(-1, (count, -1)).transpose(1, 2)

    def unfold(tokens, size, stride, padding):
        if tokens.ndim == 3:
            side = round(tokens.shape[1] ** 0.5)
            tokens = tokens.transpose(1, 2).unflatten(2, (side, side))
        return functional.unfold(tokens, size, stride=stride, padding=padding).transpose(1, 2)

    def mlp(ours, theirs, x, normed):
        found[f"{ours}.mlp.pre"] = dense(theirs[0], normed)
        found[f"{ours}.mlp.hidden"] = functional.gelu(found[f"{ours}.mlp.pre"])
        found[f"{ours}.mlp.out"] = dense(theirs[1], found[f"{ours}.mlp.hidden"])
        found[f"{ours}.resid_post"] = x + found[f"{ours}.mlp.out"]
        return found[f"{ours}.resid_post"]

    def features(x, directions):
        return torch.exp(x @ directions.T - (x**2).sum(-1, keepdim=True) / 2) * len(directions) ** -0.5

    def token_layer(stage, x):
        theirs, ours = f"tokens_to_token.attention{stage + 1}", f"stages.{stage}.blocks.0"
        normed = norm(f"{theirs}.norm1", x)
        if performer:
            k, q, v = dense(f"{theirs}.kqv", normed).chunk(3, dim=-1)
            queries, keys = (features(part, w[f"{theirs}.w"]) for part in (q, k))
            weights = queries @ keys.mT
            z = weights @ v / (weights.sum(-1, keepdim=True) + least)
            inside = {"q": q[:, :, None], "k": k[:, :, None], "v": v[:, :, None], "z": z[:, :, None]}
            out = dense(f"{theirs}.proj", z)
        else:
            q, k, v = dense(f"{theirs}.attn.qkv", normed).chunk(3, dim=-1)
            inside = products(*(heads(part, 1) for part in (q, k, v)), scale=scale or x.shape[-1] ** -0.5)
            out = dense(f"{theirs}.attn.proj", inside["z"][:, :, 0])
        found.update({f"{ours}.attn.{tap}": value for tap, value in inside.items()})
        middle = out + (v if shortcut == "v" else x[..., :NARROW])
        found.update({f"{ours}.resid_pre": x, f"{ours}.attn.out": out, f"{ours}.resid_mid": middle})
        names = [f"{theirs}.mlp.{name}" for name in (("0", "2") if performer else ("fc1", "fc2"))]
        return mlp(ours, names, middle, norm(f"{theirs}.norm2", middle))

    pixels = torch.tensor(np.float64(images), requires_grad=True)
    mean, std = (torch.tensor(value, dtype=torch.float64) for value in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    x = found["embed"] = unfold(((pixels - mean) / std).permute(0, 3, 1, 2), 7, 4, 2)
    x = found["stages.1.embed"] = unfold(token_layer(0, x), 3, 2, 1)
    x = dense("tokens_to_token.project", unfold(token_layer(1, x), 3, 2, 1))
    x = torch.cat([w["cls_token"].expand(len(x), -1, -1), x], dim=1) + w["pos_embed"]
    found["stages.2.embed"] = x
    for number in range(DEPTH):
        theirs, ours = f"blocks.{number}", f"stages.2.blocks.{number}"
        found[f"{ours}.resid_pre"] = x
        q, k, v = dense(f"{theirs}.attn.qkv", norm(f"{theirs}.norm1", x)).chunk(3, dim=-1)
        inside = products(*(heads(part, HEADS) for part in (q, k, v)))
        found |= {f"{ours}.attn.{tap}": value for tap, value in inside.items()}
        out = found[f"{ours}.attn.out"] = dense(f"{theirs}.attn.proj", inside["z"].flatten(2))
        x = found[f"{ours}.resid_mid"] = x + out
        x = mlp(ours, [f"{theirs}.mlp.fc1", f"{theirs}.mlp.fc2"], x, norm(f"{theirs}.norm2", x))
    found["norm"] = norm("norm", x)
    found["pooled"] = found["norm"][:, 0]
    found["logits"] = dense("head", found["pooled"])
    units = found["logits"].argmax(dim=1)
    found["logits"].gather(1, units[:, None]).sum().backward()
    taps = {tap: value.detach().numpy() for tap, value in found.items()}
    return Reference(np.float64(images), taps, units.numpy(), pixels.grad.numpy())


def saved(tensors: dict[str, np.ndarray], path, *, legacy: bool = False, key: str = "state_dict_ema", word="module."):
    """The file that a training script leaves, a zip or in the form of before."""
    import torch

    held = {word + name: torch.tensor(tensor) for name, tensor in tensors.items()}
    torch.save({key: held, "epoch": 309}, path, _use_new_zipfile_serialization=not legacy)
    return path


def images(count: int = 2, side: int = SIDE) -> np.ndarray:
    """Noise."""
    return np.random.default_rng(1).random((count, side, side, 3))


@pytest.mark.parametrize("kind", NAMES)
def test_every_activation(tmp_path, kind):
    pytest.importorskip("torch")
    tensors = published(kind)
    model = load(saved(tensors, tmp_path / f"{NAMES[kind]}.pth.tar", legacy=kind == "performer"), cache=False)
    assert (model.card.architecture, model.card.converter[:3]) == (NAMES[kind], "t2t")
    found = relative_errors(model, reference(tensors, images()))
    assert set(found) == {*model.taps(), GRADIENT}
    worst = max(found, key=found.get)
    assert found[worst] <= EXACT, (worst, found[worst])
