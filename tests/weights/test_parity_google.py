"""Google's `.npz` files, with timm's own loader of them as referee; and one real model by three sources' names."""

import dataclasses
import json

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.weights.test_parity_timm import check
from vitjax.errors import InputError
from vitjax.weights.load import load
from vitjax.weights.parameters import values

WIDTH, HEADS, DEPTH, MLP, SIDE, PATCH, CLASSES = 24, 3, 2, 40, 48, 16, 7
SMALL = {
    "embed_dim": WIDTH, "num_heads": HEADS, "depth": DEPTH, "mlp_ratio": MLP / WIDTH, "img_size": SIDE,
    "num_classes": CLASSES,
}  # fmt: skip
ATTENTION = "MultiHeadDotProductAttention_1"


def names(pre_logits: int = 0) -> dict[str, tuple[int, ...]]:
    """Shapes by Google's names of a small model."""
    size, top = WIDTH // HEADS, pre_logits or WIDTH
    layers = {"embedding": (PATCH, PATCH, 3, WIDTH), "head": (top, CLASSES)}
    norms = ["Transformer/encoder_norm"]
    for block in (f"Transformer/encoderblock_{i}" for i in range(DEPTH)):
        layers |= {f"{block}/{ATTENTION}/{name}": (WIDTH, HEADS, size) for name in ("query", "key", "value")}
        layers |= {f"{block}/MlpBlock_3/Dense_0": (WIDTH, MLP), f"{block}/MlpBlock_3/Dense_1": (MLP, WIDTH)}
        layers[f"{block}/{ATTENTION}/out"] = (HEADS, size, WIDTH)
        norms += [f"{block}/LayerNorm_{i}" for i in (0, 2)]
    if pre_logits:
        layers["pre_logits"] = (WIDTH, pre_logits)
    split = ("query", "key", "value")
    return {
        "cls": (1, 1, WIDTH),
        "Transformer/posembed_input/pos_embedding": (1, 1 + (SIDE // PATCH) ** 2, WIDTH),
        **{f"{name}/kernel": shape for name, shape in layers.items()},
        **{f"{name}/bias": shape[-2:] if name.endswith(split) else shape[-1:] for name, shape in layers.items()},
        **{f"{name}/{part}": (WIDTH,) for name in norms for part in ("scale", "bias")},
    }


def arrays(pre_logits: int = 0) -> dict[str, np.ndarray]:
    """Random arrays by Google's names."""
    draw = np.random.default_rng(0).standard_normal
    found = {name: draw(shape, np.float32) for name, shape in names(pre_logits).items()}
    for name, array in found.items():
        if name.endswith("kernel"):
            array *= 0.75 * (array.shape[-1] / array.size) ** 0.5
        elif name.endswith("scale"):
            array[...] = 1 + 0.3 * array
    return found


@pytest.mark.parametrize("image_size", [None, (64, 32)])
def test_every_activation(timm, tmp_path, image_size):
    np.savez(tmp_path / "B_16.npz", **arrays())
    theirs = timm.create_model("vit_base_patch16_224", **SMALL | ({"img_size": image_size} if image_size else {}))
    theirs.load_pretrained(str(tmp_path / "B_16.npz"))
    model = load(tmp_path / "B_16.npz", image_size=image_size)
    assert (model.config.heads, model.card.architecture, model.card.converter[:6]) == (HEADS, "B_16", "google")
    check(model, theirs.eval())


def test_pre_logits(tmp_path):
    whole = arrays(pre_logits=10)
    np.savez(tmp_path / "whole.npz", **{f"opt/target/{name}": array for name, array in whole.items()})
    below = {name: array for name, array in whole.items() if not name.startswith(("head", "pre_logits"))}
    np.savez(tmp_path / "below.npz", **below)
    images = np.random.default_rng(1).random((2, SIDE, SIDE, 3), np.float32)
    found = load(tmp_path / "whole.npz")(images, reads=["pooled", "logits"])
    pooled = load(tmp_path / "below.npz")(images)["pooled"]
    pooled = np.tanh(pooled @ whole["pre_logits/kernel"] + whole["pre_logits/bias"])
    np.testing.assert_allclose(found["pooled"], pooled, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        found["logits"], pooled @ whole["head/kernel"] + whole["head/bias"], rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"cls": None}, "missing tensors: cls"),
        ({"extra": np.zeros(2)}, r"unknown tensors: extra"),
        ({"embedding/kernel": None}, "no array embedding/kernel"),
        ({"head/bias": np.zeros(3)}, r"head/bias is \(3,\) instead of \(7,\)"),
        ({"embedding/kernel": np.zeros((1, 1, 1024, WIDTH))}, "1024 input channels are not supported"),
        ({f"Transformer/encoderblock_0/{ATTENTION}/query/kernel": np.zeros((WIDTH, WIDTH))}, "it has 3 axes"),
    ],
)
def test_what_is_refused(tmp_path, change, said):
    kept = {name: array for name, array in (arrays() | change).items() if array is not None}
    np.savez(tmp_path / "x.npz", **kept)
    with pytest.raises(InputError, match=said) as caught:
        load(tmp_path / "x.npz")
    assert "\n" not in str(caught.value)


def by_hugging_face(tensors):
    """The tensors of a ViT by the names of transformers, of those of timm."""
    found = {
        "vit.embeddings.cls_token": tensors["cls_token"],
        "vit.embeddings.position_embeddings": tensors["pos_embed"],
    }
    parts = {"patch_embed.proj": "vit.embeddings.patch_embeddings.projection", "norm": "vit.layernorm"}
    parts["head"] = "classifier"
    for i in sorted({int(name.split(".")[1]) for name in tensors if name.startswith("blocks.")}):
        ours, theirs = f"blocks.{i}", f"vit.encoder.layer.{i}"
        parts |= {f"{ours}.norm1": f"{theirs}.layernorm_before", f"{ours}.norm2": f"{theirs}.layernorm_after"}
        parts[f"{ours}.attn.proj"] = f"{theirs}.attention.output.dense"
        parts |= {f"{ours}.mlp.fc1": f"{theirs}.intermediate.dense", f"{ours}.mlp.fc2": f"{theirs}.output.dense"}
        for kind in ("weight", "bias"):
            for name, third in zip(
                ("query", "key", "value"), np.split(tensors[f"{ours}.attn.qkv.{kind}"], 3), strict=True
            ):
                found[f"{theirs}.attention.attention.{name}.{kind}"] = third
    return found | {
        f"{new}.{kind}": tensors[f"{old}.{kind}"] for old, new in parts.items() for kind in ("weight", "bias")
    }


def by_google(tensors, heads=3):
    """The arrays of a ViT by Google's names, of the tensors of timm."""
    found = {
        "cls": tensors["cls_token"],
        "Transformer/posembed_input/pos_embedding": tensors["pos_embed"],
        "embedding/kernel": tensors["patch_embed.proj.weight"].transpose(2, 3, 1, 0),
        "embedding/bias": tensors["patch_embed.proj.bias"],
        "Transformer/encoder_norm/scale": tensors["norm.weight"],
        "Transformer/encoder_norm/bias": tensors["norm.bias"],
        "head/kernel": tensors["head.weight"].T,
        "head/bias": tensors["head.bias"],
    }
    for i in range(12):
        ours, theirs = f"blocks.{i}", f"Transformer/encoderblock_{i}"
        for old, new in (("norm1", "LayerNorm_0"), ("norm2", "LayerNorm_2")):
            found[f"{theirs}/{new}/scale"], found[f"{theirs}/{new}/bias"] = (
                tensors[f"{ours}.{old}.{kind}"] for kind in ("weight", "bias")
            )
        for old, new in (("fc1", "Dense_0"), ("fc2", "Dense_1")):
            found[f"{theirs}/MlpBlock_3/{new}/kernel"] = tensors[f"{ours}.mlp.{old}.weight"].T
            found[f"{theirs}/MlpBlock_3/{new}/bias"] = tensors[f"{ours}.mlp.{old}.bias"]
        qkv = zip(*(np.split(tensors[f"{ours}.attn.qkv.{kind}"], 3) for kind in ("weight", "bias")), strict=True)
        for name, (weight, bias) in zip(("query", "key", "value"), qkv, strict=True):
            found[f"{theirs}/{ATTENTION}/{name}/kernel"] = weight.T.reshape(len(weight), heads, -1)
            found[f"{theirs}/{ATTENTION}/{name}/bias"] = bias.reshape(heads, -1)
        proj = tensors[f"{ours}.attn.proj.weight"]
        found[f"{theirs}/{ATTENTION}/out/kernel"] = proj.T.reshape(heads, -1, len(proj))
        found[f"{theirs}/{ATTENTION}/out/bias"] = tensors[f"{ours}.attn.proj.bias"]
    return found


def test_three_routes_to_the_same_model(shared_data, tmp_path):
    source = shared_data / "vit_tiny_patch16_224"
    tensors = load_file(source / "model.safetensors")
    (tmp_path / "google").mkdir()  # a file's config is the one beside it, and here there is none
    np.savez(tmp_path / "google" / "Ti_16.npz", **by_google(tensors))
    save_file({name: np.ascontiguousarray(tensor) for name, tensor in by_hugging_face(tensors).items()},
              tmp_path / "model.safetensors")  # fmt: skip
    settings = {
        "model_type": "vit", "hidden_size": 192, "num_attention_heads": 3, "intermediate_size": 768,
        "layer_norm_eps": 1e-6,
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(settings))
    processor = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "resample": 3}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(processor))
    models = [load(place, cache=False) for place in (source, tmp_path, tmp_path / "google" / "Ti_16.npz")]
    assert [model.card.converter.split("-")[0] for model in models] == ["timm", "transformers", "google"]

    images = np.random.default_rng(0).random((1, 224, 224, 3), np.float32)
    first = models[0]
    for model in models[1:]:
        assert dataclasses.replace(model.config, preprocess=first.config.preprocess) == first.config
        assert (model.config.preprocess.mean, model.config.preprocess.std) == ((0.5,) * 3, (0.5,) * 3)
        for name, array in values(first).items():
            np.testing.assert_array_equal(values(model)[name], array, err_msg=name)
    reads = [f"blocks.{i}.{site}" for i in (0, 11) for site in ("attn.probs", "mlp.hidden")]
    run = jax.jit(lambda model: model(images, [*reads, "logits"]))
    wanted = run(first)
    for model in models[1:]:
        for tap, value in run(model).items():
            np.testing.assert_allclose(value, wanted[tap], rtol=0, atol=1e-5 * np.abs(wanted[tap]).max(), err_msg=tap)
