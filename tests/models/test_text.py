"""Text towers of transformers' making: every activation, the embeddings, and pictures made for a sentence."""

import json
import sys
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import vitjax
from converters.referees.parity import COMPILER, TOLERANCE
from tests.weights.test_parity_hf import PROCESSOR, transformers  # noqa: F401, a fixture
from vitjax.cli import main
from vitjax.errors import InputError
from vitjax.models.core.tap_site import Site
from vitjax.optimize.objectives import CosineWithDirection
from vitjax.optimize.sentences import SCALE
from vitjax.weights.tokenizer import Tokenizer

CONTEXT = 12
LETTERS = [chr(code) for code in range(ord("a"), ord("z") + 1)]
VOCABULARY = {
    word: i
    for i, word in enumerate([*LETTERS, *(f"{c}</w>" for c in LETTERS), "do", "dog</w>", "<|start|>", "<|end|>"])
}
MERGES = [("d", "o"), ("do", "g</w>")]
SIZES = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 40}
TEXT = {**SIZES, "vocab_size": len(VOCABULARY), "max_position_embeddings": CONTEXT}
IMAGE = {**SIZES, "image_size": 32, "patch_size": 8}
END = VOCABULARY["<|end|>"]
CLIP = {"text_config": {**TEXT, "eos_token_id": END}, "vision_config": IMAGE, "projection_dim": 10}
SIGLIP = {"text_config": {**TEXT, "projection_size": 20}, "vision_config": IMAGE}
OLD = {**TEXT, "num_hidden_layers": 1, "eos_token_id": 2, "bos_token_id": 0}
VARIANTS = {  # class of the model, of its config, its settings
    "CLIP": ("CLIPModel", "CLIPConfig", CLIP),
    "CLIP's text tower": ("CLIPTextModel", "CLIPTextConfig", OLD),
    "CLIP's text tower with projection": ("CLIPTextModelWithProjection", "CLIPTextConfig", OLD | {"projection_dim": 7}),
    "SigLIP": ("SiglipModel", "SiglipConfig", SIGLIP),
    "SigLIP 2's text tower": ("Siglip2TextModel", "Siglip2TextConfig", {**TEXT, "num_hidden_layers": 1}),
}  # fmt: skip
PARTS = [
    "layer_norm1", "layer_norm2", "self_attn", "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj",
    "self_attn.out_proj", "mlp.fc1", "mlp.fc2",
]  # fmt: skip


def make(transformers, folder, variant):  # noqa: F811
    """A model of transformers with random parameters, saved with its tokenizer and its image processor's settings."""
    import torch

    kind, config, settings = VARIANTS[variant]
    model = getattr(transformers, kind)._from_config(
        getattr(transformers, config)(**settings), attn_implementation="eager"
    )
    generator = torch.Generator().manual_seed(0)
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        scaled = parameter.ndim > 1 and "embedding" not in name
        parameter.data = 0.7 * noise / parameter[0].numel() ** 0.5 if scaled else 0.3 * noise + ("norm" in name)
    model.eval().save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(PROCESSOR))
    tokenizer = transformers.CLIPTokenizer(
        vocab=VOCABULARY, merges=MERGES, unk_token="<|end|>", bos_token="<|start|>", eos_token="<|end|>",
        pad_token="<|end|>",
    )  # fmt: skip
    tokenizer.save_pretrained(folder)
    return model, tokenizer


@pytest.fixture(scope="module")
def clip(transformers, tmp_path_factory):  # noqa: F811
    """A folder with a small random CLIP, its model and its tokenizer."""
    folder = tmp_path_factory.mktemp("clip")
    return folder, *make(transformers, folder, "CLIP")


def theirs(model, ids):
    """Every activation of a text tower of transformers under our names."""
    import torch

    tower, kept = getattr(model, "text_model", model), {}
    keep = lambda name: lambda module, given, output: kept.__setitem__(name, (given[0] if given else None, output))
    for name, module in tower.named_modules():
        module.register_forward_hook(keep(name))
    ids = torch.tensor(ids, dtype=torch.long)
    with torch.no_grad():
        features = model.get_text_features(ids) if hasattr(model, "get_text_features") else model(ids)
    values, heads = {"embed": kept["embeddings"][1], "norm": kept["final_layer_norm"][1]}, SIZES["num_attention_heads"]
    for i in range(model.config.get_text_config().num_hidden_layers):
        part = {name: kept[f"encoder.layers.{i}.{name}"] for name in PARTS}
        split = {name: part[f"self_attn.{name}_proj"][1].unflatten(-1, (heads, -1)) for name in "qkv"}
        sites = {
            **{f"attn.{name}": value for name, value in split.items()},
            "attn.probs": part["self_attn"][1][1],
            "attn.z": part["self_attn.out_proj"][0].unflatten(-1, (heads, -1)),
            "attn.out": part["self_attn.out_proj"][1],
            "resid_pre": part["layer_norm1"][0],
            "resid_mid": part["layer_norm2"][0],
            "mlp.pre": part["mlp.fc1"][1],
            "mlp.hidden": part["mlp.fc2"][0],
            "mlp.out": part["mlp.fc2"][1],
            "resid_post": kept[f"encoder.layers.{i}"][1],
        }
        values |= {f"blocks.{i}.{site}": value for site, value in sites.items()}
    if "text_embeds" in features:
        return values | {"embedding": features.text_embeds}
    if "head" in kept:
        return values | {"pooled": kept["head"][0], "embedding": kept["head"][1]}
    return values | {"embedding" if hasattr(model, "text_projection") else "pooled": features.pooler_output}


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_activation(transformers, tmp_path, variant):  # noqa: F811
    model, _ = make(transformers, tmp_path, variant)
    ids = np.random.default_rng(0).integers(0, END, (3, CONTEXT))
    ids[[0, 1, 1, 2], [3, 5, 8, CONTEXT - 1]] = END
    ours = vitjax.load_text(tmp_path).model
    run = jax.jit(lambda model, ids: model(ids, list(model.taps())), compiler_options=COMPILER)
    with jax.default_matmul_precision("highest"):
        values = run(ours, jnp.asarray(ids))
    assert all(values[tap].shape[1:] == site.shape for tap, site in ours.taps().items())
    expected = theirs(model, ids)
    assert {tap for tap in values if not tap.endswith("scores")} - expected.keys() <= {"pooled"}
    for tap, value in expected.items():
        value = value.numpy()
        assert np.abs(values[tap] - value).max() <= TOLERANCE * np.abs(value).max(), tap


def test_tokens_are_those_of_transformers(clip):
    folder, _, tokenizer = clip
    texts = ["A photo", "dog", "a  Dog dogs", ""]
    expected = tokenizer(texts, padding="max_length", max_length=CONTEXT)["input_ids"]
    np.testing.assert_array_equal(vitjax.load_text(folder).tokenizer(texts), expected)


@pytest.mark.exhaustive
def test_a_picture_for_a_sentence_is_one_that_transformers_finds_similar(clip, tmp_path, capsys):
    import torch

    folder, model, tokenizer = clip
    prompts = ["a dog", "a dog of do"]
    options = ["--recipe", "ghiasi", "--set", "steps=12", "--set", "views=2", "--out", tmp_path / "out"]
    line = ["visualize", "--model", folder, "--text", *prompts, "--text", "a dog!", *options]
    assert main([str(word) for word in line]) == 0
    rows = json.loads((tmp_path / "out" / "pictures.json").read_text())["pictures"]
    assert [row["unit"] for row in rows] == ["embedding:a dog", "embedding:a dog!"]
    assert all(row["history"]["activation"][-1] > row["history"]["activation"][0] + 1 for row in rows)
    assert len({row["file"] for row in rows}) == 2

    with Image.open(tmp_path / "out" / rows[0]["file"]) as picture:
        pixels = (np.asarray(picture) / 255 - PROCESSOR["image_mean"]) / PROCESSOR["image_std"]
    with torch.no_grad():
        ids = torch.tensor(tokenizer(prompts, padding="max_length", max_length=CONTEXT)["input_ids"])
        image = model.get_image_features(torch.tensor(pixels[None]).float().permute(0, 3, 1, 2)).pooler_output
        words = torch.nn.functional.normalize(model.get_text_features(ids).pooler_output, dim=-1).mean(dim=0)
        similarity = torch.nn.functional.cosine_similarity(image[0], words, dim=0)
    assert rows[0]["activation"] == pytest.approx(SCALE * float(similarity), rel=1e-4)


def test_the_cosine_of_a_value_does_not_grow_with_it():
    values, vector = np.random.default_rng(0).standard_normal((2, 3, 8)).astype(np.float32)
    sites = {"embedding": Site((8,), ("channel",))}
    cosine_with = partial(CosineWithDirection("embedding").activation, sites=sites, tokens="patches")
    of = lambda values: cosine_with({"embedding": values}, vector[0])
    cosine = values @ vector[0] / np.linalg.norm(values, axis=1)
    np.testing.assert_allclose(of(values), cosine, rtol=1e-5)
    np.testing.assert_allclose(of(7 * values), cosine, rtol=1e-5)
    gradient = jax.grad(lambda values: of(values).sum())
    np.testing.assert_allclose((gradient(values) * values).sum(axis=1), 0, atol=1e-5)
    assert np.isfinite(gradient(0 * values)).all()


def test_mistakes_are_named(clip, tmp_path, monkeypatch):
    folder, _, _ = clip
    encoder = vitjax.load_text(folder)
    mistakes = {
        r"'a dog .*… has 14 tokens, this model reads 12": lambda: encoder(["a dog " * 6]),
        r"tokenizer\.json is another model's: token 5\d is not among 20": lambda: Tokenizer(
            folder, replace(encoder.model.config, vocabulary=20)
        )(["dog"]),
        "a sentence without words": lambda: vitjax.sentence(encoder, ["dog", " "]),
        "a checkpoint of vitjax has no text tower": lambda: vitjax.load_text("demo"),
        "13 tokens, this model reads 12": lambda: encoder.model(np.zeros((1, 13), np.int32)),
        r"unknown tap 'embeding' \(did you mean embedding": lambda: encoder.model(
            np.zeros((1, 2), np.int32), "embeding"
        ),
        r"unknown tap 'embedding'": lambda: vitjax.visualize(
            vitjax.load("demo"), vitjax.sentence(encoder, "dog"), steps=1
        ),
    }
    for said, call in mistakes.items():
        with pytest.raises(InputError, match=said):
            call()
    for name in ("model.safetensors", "config.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    with pytest.raises(InputError, match=r"there is no tokenizer\.json in"):
        vitjax.load_text(tmp_path)(["dog"])
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(InputError, match=r"tokenizer\.json is no tokenizer"):
        vitjax.load_text(tmp_path)(["dog"])
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(InputError, match=r"pip install 'vitjax\[text\]'"):
        vitjax.load_text(folder)(["dog"])
