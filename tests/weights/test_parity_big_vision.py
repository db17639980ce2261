"""big_vision's `.npz` files, with timm's own loader of them as referee."""

import numpy as np
import pytest

from converters.referees.parity import TOLERANCE
from tests.support import small
from tests.support.said import said
from vitjax.errors import InputError
from vitjax.weights.load import load

WIDTH, HEADS, DEPTH, MLP, SIDE, PATCH, CLASSES = 24, 3, 2, 40, 32, 16, 7
SMALL = {
    "embed_dim": WIDTH, "num_heads": HEADS, "depth": DEPTH, "mlp_ratio": MLP / WIDTH, "img_size": SIDE,
    "num_classes": CLASSES, "act_layer": "gelu_tanh",
}  # fmt: skip
ATTENTION, MLP_BLOCK = "MultiHeadDotProductAttention_0", "MlpBlock_0"
KINDS = {  # what a file has, and timm's arguments for it
    "token": {"class_token": True, "global_pool": "token", "no_embed_class": True},
    "mean": {"class_token": False, "global_pool": "avg", "fc_norm": False},
    "attention": {"class_token": False, "global_pool": "map"},
}


def layer(start):
    """The shapes of an attention and an MLP."""
    shapes = {f"{start}{ATTENTION}/{name}": (WIDTH, HEADS, WIDTH // HEADS) for name in ("query", "key", "value")}
    shapes |= {f"{start}{MLP_BLOCK}/Dense_0": (WIDTH, MLP), f"{start}{MLP_BLOCK}/Dense_1": (MLP, WIDTH)}
    return shapes | {f"{start}{ATTENTION}/out": (HEADS, WIDTH // HEADS, WIDTH)}


def arrays(kind, positions=(SIDE // PATCH) ** 2):
    """Random arrays by big_vision's names, of blocks one by one."""
    layers = {"embedding": (PATCH, PATCH, 3, WIDTH), "head": (WIDTH, CLASSES)}
    norms = ["Transformer/encoder_norm"]
    for i in range(DEPTH):
        layers |= layer(f"Transformer/encoderblock_{i}/")
        norms += [f"Transformer/encoderblock_{i}/LayerNorm_{n}" for n in (0, 1)]
    shapes = {"pos_embedding": (1, positions, WIDTH)}
    if kind == "token":
        shapes["cls"] = (1, 1, WIDTH)
    if kind == "attention":
        layers |= layer("MAPHead_0/")
        norms.append("MAPHead_0/LayerNorm_0")
        shapes["MAPHead_0/probe"] = (1, 1, WIDTH)
    split = ("query", "key", "value")
    shapes |= {f"{name}/kernel": shape for name, shape in layers.items()}
    shapes |= {f"{name}/bias": shape[-2:] if name.endswith(split) else shape[-1:] for name, shape in layers.items()}
    shapes |= {f"{name}/{part}": (WIDTH,) for name in norms for part in ("scale", "bias")}
    draw = np.random.default_rng(0).standard_normal
    found = {name: draw(shape, np.float32) for name, shape in shapes.items()}
    for name, array in found.items():
        if name.endswith("kernel"):
            array *= 0.75 * (array.shape[-1] / array.size) ** 0.5
    return found


def scanned(found):
    """The same with the blocks' arrays stacked."""
    start = "Transformer/encoderblock_"
    ends = {name.removeprefix(f"{start}0/") for name in found if name.startswith(f"{start}0/")}
    stacked = {f"{start[:-1]}/{end}": np.stack([found[f"{start}{i}/{end}"] for i in range(DEPTH)]) for end in ends}
    return {name: array for name, array in found.items() if not name.startswith(start)} | stacked


@pytest.mark.parametrize("kind", KINDS)
def test_the_logits_are_timm_s(timm, tmp_path, kind):
    import torch

    found = arrays(kind)
    np.savez(tmp_path / "plain.npz", **{f"params/{name}": array for name, array in found.items()})
    theirs = timm.create_model("vit_base_patch16_224", **SMALL | KINDS[kind])
    theirs.load_pretrained(str(tmp_path / "plain.npz"))
    images = np.random.default_rng(1).random((2, SIDE, SIDE, 3), np.float32)
    with torch.no_grad():
        expected = theirs.eval()(torch.tensor(2 * images - 1).permute(0, 3, 1, 2)).numpy()
    for prefix, stored in (("params/", found), ("params/img/", scanned(found))):
        np.savez(tmp_path / "model.npz", **{f"{prefix}{name}": array for name, array in stored.items()})
        model = load(tmp_path / "model.npz", cache=False)
        logits = small.read(model, images, reads="logits")["logits"]
        assert np.abs(logits - expected).max() <= TOLERANCE * np.abs(expected).max()
    assert (model.config.heads, model.config.pool, model.card.converter[:10]) == (HEADS, kind, "big_vision")


def test_a_text_tower_beside_it_is_left_out_and_named(tmp_path):
    two = {f"params/img/{name}": array for name, array in arrays("mean").items()}
    np.savez(
        tmp_path / "siglip.npz", **two, **{"params/txt/Embed_0/embedding": np.ones((2, 2)), "params/t": np.ones(1)}
    )
    with said("left out, as outside of params/img: params/txt/Embed_0/embedding, params/t$"):
        load(tmp_path / "siglip.npz", cache=False)


REFUSED = {
    "fixed positions": ({"pos_embedding": None}, "no array pos_embedding: fixed sines"),
    "no square": ({"pos_embedding": (1, 5, WIDTH)}, "5 positions are not a square"),
    "an unknown array": ({"Transformer/extra": (2,)}, "unknown tensors: Transformer/extra"),
    "a missing array": ({"Transformer/encoderblock_1/LayerNorm_1/scale": None}, "missing tensors: .*LayerNorm_1/scale"),
    "a scan of other depths": ({"Transformer/encoderblock/MlpBlock_0/Dense_9/bias": (3, 2)}, "unknown tensors"),
    "an empty scan": ({"Transformer/encoderblock/MlpBlock_0/Dense_0/bias": ()}, "whose first axis is no number of"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(tmp_path, case):
    change, said = REFUSED[case]
    kept = {name: array for name, array in arrays("mean").items() if change.get(name, 0) is not None}
    kept |= {name: np.zeros(shape, np.float32) for name, shape in change.items() if shape is not None}
    np.savez(tmp_path / "x.npz", **kept)
    with pytest.raises(InputError, match=said) as caught:
        load(tmp_path / "x.npz", cache=False)
    assert "\n" not in str(caught.value)
