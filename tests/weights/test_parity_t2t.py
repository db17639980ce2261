"""The files of T2T-ViT against a forward pass written from its description alone, in float64: every activation.

Its own code is no package that could be installed; torch is the arithmetic here, its `unfold` the order of a patch.
"""

from dataclasses import replace
from functools import cache

import jax.numpy as jnp
import numpy as np
import pytest

from converters.referees.captured import products
from converters.referees.parity import GRADIENT, TOLERANCE, Reference, relative_errors
from tests.support.traps import output_error
from vitjax.errors import InputError
from vitjax.models.hierarchical import t2t as model_of
from vitjax.models.hierarchical.t2t import T2tConfig
from vitjax.models.parts.factorised import kernel_attend
from vitjax.models.parts.positions import sinusoids
from vitjax.weights import parameters
from vitjax.weights.families.family import port
from vitjax.weights.families.originals import t2t
from vitjax.weights.load import load

pytestmark = pytest.mark.exhaustive  # parity of ViTs, Swin, Twins and PVT is shown by the suite

pytest.importorskip("torch")

EXACT = 1e-9
NARROW, WIDE, HEADS, DEPTH, FEATURES, CLASSES, SIDE = 8, 128, 2, 1, 5, 7, 32
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
    tensors = published(kind)
    model = load(saved(tensors, tmp_path / f"{NAMES[kind]}.pth.tar", legacy=kind == "performer"), cache=False)
    assert (model.card.architecture, model.card.converter[:3]) == (NAMES[kind], "t2t")
    found = relative_errors(model, reference(tensors, images()))
    assert set(found) == {*model.taps(), GRADIENT}
    worst = max(found, key=found.get)
    assert found[worst] <= EXACT, (worst, found[worst])


@cache
def small(kind: str):
    """A model of a kind's tensors, these, and an image."""
    tensors = published(kind)
    return parameters.build(*port(t2t.T2T, tensors, {t2t.KEY: NAMES[kind]})), tensors, images(1)


@pytest.mark.parametrize(
    ("kind", "trap"),
    [
        ("performer", {"shortcut": "x"}),
        ("performer", {"eps": 1e-6}),
        ("performer", {"least": 1e-3}),
        ("transformer", {"scale": NARROW**-0.5}),
    ],
    ids=lambda one: str(one),
)
def test_what_is_computed_otherwise_shows(kind, trap):
    model, tensors, image = small(kind)
    assert output_error(model, reference(tensors, image, **trap)) > 10 * EXACT


def test_k_comes_first(monkeypatch):
    _, tensors, image = small("performer")
    monkeypatch.setattr(t2t, "_QUERY_FIRST", [0, 1, 2])
    wrong = parameters.build(*port(t2t.T2T, tensors, {t2t.KEY: NAMES["performer"]}))
    assert output_error(wrong, reference(tensors, image)) > 1e-6


def test_channels_come_before_rows_and_columns(monkeypatch):
    model, tensors, image = small("performer")
    right = model_of.unfold

    def channels_last(maps, size, stride, padding):
        found = right(maps, size, stride, padding)
        return found.reshape(*found.shape[:2], maps.shape[-1], -1).swapaxes(2, 3).reshape(found.shape)

    monkeypatch.setattr(model_of, "unfold", channels_last)
    assert output_error(model, reference(tensors, image)) > 1e-6


def test_features_beyond_float16():
    directions = np.random.default_rng(0).standard_normal((32, 64))
    directions *= (32 / (directions**2).sum(axis=1, keepdims=True)) ** 0.5
    q = k = jnp.asarray(directions[None, :, None], jnp.float16)
    v = jnp.asarray(np.random.default_rng(1).standard_normal(q.shape), jnp.float16)
    half = kernel_attend(q, k, v, jnp.asarray(directions, jnp.float16))
    whole = kernel_attend(*(part.astype(jnp.float32) for part in (q, k, v)), jnp.asarray(directions, jnp.float32))
    assert half.dtype == jnp.float16 and np.exp(16) / 32**0.5 > np.finfo(np.float16).max
    np.testing.assert_allclose(half.astype(np.float32), whole, atol=0.02)


def test_sinusoids():
    golden = [0.8414710, 0.5403023, 0.8152506, 0.5791082]
    np.testing.assert_allclose(sinusoids(2, 384)[1, :4], golden, atol=1e-7)
    np.testing.assert_array_equal(sinusoids(1, 4), [[0, 1, 0, 1]])


def test_another_image_size(tmp_path):
    import torch

    tensors = published("performer", side=48)
    path = saved(tensors, tmp_path / "t2t.pth.tar", key="state_dict", word="")
    model = load(path, image_size=32, cache=False)
    grid = torch.tensor(tensors["pos_embed"][:, 1:]).transpose(1, 2).unflatten(2, (3, 3))
    smaller = torch.nn.functional.interpolate(grid, size=(2, 2), mode="bicubic").flatten(2).transpose(1, 2)
    tensors["pos_embed"] = np.concatenate([tensors["pos_embed"][:, :1], smaller.numpy()], axis=1)
    assert model.config.grids == ((8, 8), (4, 4), (2, 2))
    assert output_error(model, reference(tensors, images(1))) <= TOLERANCE


# C, depth, heads and hidden units over channels of each, and millions of parameters where they were published.
VARIANTS = {
    "T2T_ViT_7": (256, 7, 4, 2, 4.3),
    "T2T_ViT_10": (256, 10, 4, 2, 5.9),
    "T2T_ViT_12": (256, 12, 4, 2, 6.9),
    "T2T_ViT_14": (384, 14, 6, 3, 21.5),
    "T2T_ViT_19": (448, 19, 7, 3, 39.2),
    "T2T_ViT_24": (512, 24, 8, 3, 64.1),
    "T2T_ViT_14_resnext": (384, 14, 32, 3, 21.5),
    "T2T_ViT_14_wide": (768, 4, 12, 3, None),
    "T2T_ViTt_14": (384, 14, 6, 3, 21.5),
    "T2T_ViTt_19": (448, 19, 7, 3, 39.2),
    "T2T_ViTt_24": (512, 24, 8, 3, 64.1),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_by_its_tensors_and_the_name_of_its_file(name):
    width, depth, heads, ratio, millions = VARIANTS[name]
    softmax = "ViTt" in name
    layer = [f"tokens_to_token.attention{number}.{'attn.' * softmax}proj.weight" for number in (1, 2)]
    hidden = [f"tokens_to_token.attention{number}.mlp.{'fc1' if softmax else '0'}.weight" for number in (1, 2)]
    shapes = {
        **dict.fromkeys((*layer, *hidden), (64, 64)),
        **({} if softmax else {"tokens_to_token.attention1.w": (32, 64)}),
        **{f"blocks.{number}.mlp.fc1.weight": (ratio * width, width) for number in range(depth)},
        "tokens_to_token.attention1.norm1.weight": (147,),
        "tokens_to_token.project.weight": (width, 576),
        "pos_embed": (1, 197, width),
        "head.weight": (1000, width),
    }
    config = t2t.config({t2t.KEY: name}, shapes)
    assert config == T2tConfig(
        widths=(64, 64, width),
        depths=(1, 1, depth),
        heads=(1, 1, heads),
        mlp_widths=(64, 64, ratio * width),
        token_layers="transformer" if softmax else "performer",
        preprocess=t2t.PREPROCESS,
    )
    if millions:
        assert sum(map(np.prod, parameters.shapes(config).values())) / 1e6 == pytest.approx(millions, abs=0.1)


def test_what_cannot_be_is_said(tmp_path):
    tensors = published("performer")
    for name, wrong, message in [
        ("blocks.0.attn.se.weight", np.zeros((3, 3)), r"t2t\.pth\.tar: unknown tensors: blocks\.0\.attn\.se\.weight"),
        ("pos_embed", np.zeros((1, 6, WIDE)), "5 positions do not fill a square"),
        (
            "tokens_to_token.attention2.proj.weight",
            None,
            "no tensor .*proj.weight of 2 axes: this is no T2T-ViT, or one",
        ),
        ("tokens_to_token.project.weight", np.zeros((63, 9 * NARROW)), "width 63 does not split into heads of 64"),
        ("blocks.0.norm1.weight", None, r"missing tensors: blocks\.0\.norm1\.weight"),
    ]:
        changed = tensors | {name: np.float32(wrong)} if wrong is not None else dict(tensors)
        if wrong is None:
            del changed[name]
        with pytest.raises(InputError, match=message):
            load(saved(changed, tmp_path / "t2t.pth.tar"), cache=False)
    model, _, _ = small("performer")
    with pytest.raises(InputError, match="images of a T2T-ViT are square, not 32x48"):
        replace(model.config, image_size=(32, 48))
    with pytest.raises(InputError, match=r"a kernel's and compares no two tokens; see stages\.2"):
        model(images(1), "stages.1.blocks.0.attn.probs")
