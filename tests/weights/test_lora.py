"""LoRA adapters as PEFT saves them, added to their base; the referee adds each module's own branch in torch."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from converters.referees.parity import TOLERANCE
from tests.weights.test_parity_hf import PROCESSOR, WIDE, transformers  # noqa: F401, a fixture
from vitjax.errors import InputError
from vitjax.weights.formats.tensors import Tensors
from vitjax.weights.load import load
from vitjax.weights.load_text import load_text
from vitjax.weights.rules.lora import merged

RANK, ALPHA = 4, 6
LAYER = "vit.encoder.layer.1."
QUERY, DENSE, PATCHES = (
    f"{LAYER}attention.attention.query",
    f"{LAYER}output.dense",
    "vit.embeddings.patch_embeddings.projection",
)
SETTINGS = {"peft_type": "LORA", "r": RANK, "lora_alpha": ALPHA, "target_modules": ["query"], "use_dora": False}
draw = np.random.default_rng(0)


def pair(name, outputs, *inputs, patch=()):
    """A module's two factors by PEFT's names."""
    start = f"base_model.model.{name}.lora_"
    a, b = (0.3 * draw.standard_normal(shape) for shape in ((RANK, *inputs), (outputs, RANK, *patch)))
    return {f"{start}A.weight": a.astype(np.float32), f"{start}B.weight": b.astype(np.float32)}


ADAPTER = {
    **pair(QUERY, 24, 24),
    **pair(DENSE, 24, 40),
    **pair(PATCHES, 24, 3, 8, 8, patch=(1, 1)),
    "base_model.model.classifier.weight": draw.standard_normal((7, 24)).astype(np.float32),
    "base_model.model.classifier.bias": draw.standard_normal(7).astype(np.float32),
}


def write(folder, tensors=ADAPTER, **settings):
    """An adapter's folder."""
    folder.mkdir(exist_ok=True)
    save_file(tensors, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps(SETTINGS | settings))
    return folder


@pytest.fixture(scope="module")
def base(transformers, tmp_path_factory):  # noqa: F811
    """A folder with a small random ViT of transformers, and the model."""
    folder = tmp_path_factory.mktemp("base")
    model = transformers.ViTForImageClassification(transformers.ViTConfig(**WIDE, num_labels=7)).eval()
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(PROCESSOR))
    return folder, model


def with_branches(model, scale, pixels):
    """The logits of the model with each adapted module's branch computed by itself, as in training."""
    import torch
    from torch.nn import functional

    encoder = dict(model.named_modules())
    linears = [(QUERY, ("attention.q_proj", "attention.attention.query")), (DENSE, ("mlp.fc2", "output.dense"))]
    hooks = []
    for name, ends in linears:
        (module,) = [
            m for n, m in encoder.items() if ".1." in n and n.endswith(ends) and isinstance(m, torch.nn.Linear)
        ]
        a, b = (torch.tensor(ADAPTER[f"base_model.model.{name}.lora_{side}.weight"]) for side in "AB")
        add = lambda m, inputs, out, a=a, b=b: out + scale * (inputs[0] @ a.T) @ b.T
        hooks.append(module.register_forward_hook(add))
    (patches,) = [m for m in encoder.values() if isinstance(m, torch.nn.Conv2d)]
    a, b = (torch.tensor(ADAPTER[f"base_model.model.{PATCHES}.lora_{side}.weight"]) for side in "AB")
    add = lambda m, inputs, out: out + scale * functional.conv2d(functional.conv2d(inputs[0], a, stride=8), b)
    hooks.append(patches.register_forward_hook(add))
    old = model.classifier.weight.data, model.classifier.bias.data
    for part, value in (("weight", model.classifier.weight), ("bias", model.classifier.bias)):
        value.data = torch.tensor(ADAPTER[f"base_model.model.classifier.{part}"])
    with torch.no_grad():
        logits = model(torch.tensor(np.asarray(pixels)).permute(0, 3, 1, 2)).logits.numpy()
    model.classifier.weight.data, model.classifier.bias.data = old
    for hook in hooks:
        hook.remove()
    return logits


def test_it_is_added_by_the_formula(base, tmp_path):
    folder, model = base
    images = np.random.default_rng(1).random((2, 32, 32, 3), np.float32)
    plain = load(folder, cache=False)
    for rank_stable, scale in ((False, ALPHA / RANK), (True, ALPHA / RANK**0.5)):
        adapter = write(tmp_path / f"adapter{rank_stable}", use_rslora=rank_stable)
        loaded = load(adapter, base=folder, cache=False)
        expected = with_branches(model, scale, plain.normalise(images))
        found = loaded(images)["logits"]
        assert np.abs(found - expected).max() <= TOLERANCE * np.abs(expected).max()
        assert loaded.card.source == str(adapter) and loaded.card.sha256 != plain.card.sha256


def test_the_base_that_it_names_is_found_on_disk(base, tmp_path):
    adapter = write(tmp_path / "adapter", base_model_name_or_path=str(base[0]))
    assert load(adapter, cache=False).config.classes == 7
    with pytest.raises(InputError, match=r"has no meaning for .*: only LoRA adapters have one"):
        load(base[0], base=adapter)
    with pytest.raises(InputError, match="is no checkpoint that an adapter can be added to"):
        load(adapter, base=adapter)
    with pytest.raises(InputError, match="has no text tower"):
        load_text(adapter)


def test_without_its_base_it_is_named(tmp_path):
    adapter = write(tmp_path / "adapter", base_model_name_or_path="google/vit-base-patch16-224-in21k")
    with pytest.raises(InputError, match=r"is a LoRA adapter of google/vit-base-patch16-224-in21k: give base=$"):
        load(adapter)
    (adapter / "adapter_config.json").write_text("{}")
    with pytest.raises(InputError, match="is a LoRA adapter of a model that it does not name: give base="):
        load(adapter)
    (adapter / "adapter_config.json").unlink()
    with pytest.raises(InputError, match=r"there is no adapter_config\.json beside"):
        load(adapter)


def held(tensors):
    """Tensors in memory."""
    return Tensors((), {name: tensor.shape for name, tensor in tensors.items()}, lambda name: tensors[name])


BASE = held({"a.weight": np.ones((2, 3), np.float32), "b.a.bias": np.zeros(2, np.float32)})
FACTORS = {"x.a.lora_A.weight": np.ones((4, 3), np.float32), "x.a.lora_B.weight": np.ones((2, 4), np.float32)}


def test_a_weight_that_is_stored_the_other_way_round():
    factors = {name.replace("x.a", "base_model.model.a"): tensor for name, tensor in FACTORS.items()}
    turned = {
        "base_model.model.a.lora_A.weight": draw.random((4, 2)),
        "base_model.model.a.lora_B.weight": draw.random((3, 4)),
    }
    turned = {name: tensor.astype(np.float32) for name, tensor in turned.items()}
    np.testing.assert_allclose(merged(BASE, held(factors), SETTINGS)["a.weight"], 1 + 1.5 * 4)
    a, b = turned.values()
    found = merged(BASE, held(turned), SETTINGS | {"fan_in_fan_out": True})["a.weight"]
    np.testing.assert_allclose(found, 1 + 1.5 * (b @ a).T, rtol=1e-6)


REFUSED = {
    "another kind": ({"peft_type": "IA3"}, {}, "peft_type='IA3' in adapter_config.json is not supported"),
    "DoRA": ({"use_dora": True}, {}, "use_dora=True in adapter_config.json is not supported"),
    "other ranks": ({"rank_pattern": {"a": 2}}, {}, "rank_pattern={'a': 2}"),
    "a changed base": ({"init_lora_weights": "pissa_niter_16"}, {}, "it changes the base's weights"),
    "a setting to come": ({"use_new": True}, {}, "use_new=True in"),
    "no rank": ({"r": None}, {}, "r=None in adapter_config.json is not a number above 0"),
    "another rank": ({"r": 3}, {}, "do not fit the base's a.weight"),
    "no such module": ({}, {"y.q.lora_A.weight": np.ones((4, 3), np.float32)}, "the base has no tensor y.q.weight"),
    "one factor": ({}, {"x.a.lora_B.weight": None}, "only one of lora_A and lora_B for a.weight"),
    "a magnitude": ({}, {"x.a.lora_magnitude_vector": np.ones(2, np.float32)}, "which is not of a plain LoRA"),
    "a wrong shape": ({}, {"x.a.lora_B.weight": np.ones((3, 4), np.float32)}, "do not fit the base's a.weight"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(case):
    settings, tensors, said = REFUSED[case]
    adapter = {name: tensor for name, tensor in {**FACTORS, **tensors}.items() if tensor is not None}
    with pytest.raises(InputError) as caught:
        merged(BASE, held(adapter), SETTINGS | settings)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_the_base_on_disk_is_as_it_was(base):
    assert "classifier.weight" in load_file(base[0] / "model.safetensors")
