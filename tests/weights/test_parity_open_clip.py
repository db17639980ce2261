"""OpenCLIP's folders; the referees are transformers' CLIP and timm's towers with the same weights."""

import json

import numpy as np
import pytest

from converters.referees.parity import TOLERANCE
from tests.weights import test_parity_openai as openai
from tests.weights.test_parity_hf import check, transformers  # noqa: F401, a fixture
from vitjax.errors import InputError
from vitjax.weights.load import load
from vitjax.weights.load_text import load_text

VISION = {"layers": openai.DEPTH, "width": openai.WIDTH, "head_width": 64, "patch_size": 8, "image_size": 32}
TEXT = {"context_length": openai.CONTEXT, "vocab_size": openai.VOCABULARY, "width": openai.WIDTH, "heads": 2}
RATIO = openai.MLP / openai.WIDTH
MODEL = {
    "embed_dim": openai.SHARED,
    "quick_gelu": True,
    "vision_cfg": {**VISION, "mlp_ratio": RATIO},
    "text_cfg": {**TEXT, "layers": openai.DEPTH, "mlp_ratio": RATIO},
}


@pytest.fixture(scope="module")
def theirs(transformers, tmp_path_factory):  # noqa: F811
    """A small random CLIP of transformers, whose activation function is QuickGELU."""
    return openai.small(transformers, tmp_path_factory.mktemp("openai"))[1]


def write(folder, tensors, model=MODEL, **preprocess):
    """A folder as OpenCLIP pushes it."""
    from safetensors.torch import save_file

    save_file(
        {name: tensor.clone().contiguous() for name, tensor in tensors.items()}, folder / "open_clip_model.safetensors"
    )
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": model, "preprocess_cfg": preprocess}))
    return folder


def test_the_image_tower(theirs, tmp_path):
    model = load(write(tmp_path, openai.state(theirs)), cache=False)
    assert (model.config.heads, model.output, model.config.preprocess.mode) == (2, "embedding", "crop")
    assert model.card.converter.startswith("open_clip")
    check(model, theirs)


def test_the_text_tower(theirs, tmp_path):
    import torch

    ids = np.random.default_rng(0).integers(0, openai.VOCABULARY - 1, (2, openai.CONTEXT))
    ids[:, 4] = openai.VOCABULARY - 1
    with torch.no_grad():
        expected = theirs.get_text_features(torch.tensor(ids)).pooler_output.numpy()
    own = {f"text.{k}" if k.startswith(openai_text()) else k: v for k, v in openai.state(theirs).items()}
    for tensors in (openai.state(theirs), own):
        found = load_text(write(tmp_path, tensors)).model(ids)["embedding"]
        assert np.abs(found - expected).max() <= TOLERANCE * np.abs(expected).max()


def openai_text() -> tuple[str, ...]:
    """What the names of the text tower's tensors begin with."""
    return ("token_embedding", "positional_embedding", "text_projection", "transformer.", "ln_final")


def test_without_quick_gelu_it_is_the_exact_one(theirs, tmp_path):
    import torch
    from transformers.activations import GELUActivation

    plain = {key: value for key, value in MODEL.items() if key != "quick_gelu"}
    model = load(write(tmp_path, openai.state(theirs), plain, resize_mode="squash"), cache=False)
    assert (model.config.activation, model.config.preprocess.mode) == ("gelu", "squash")
    pixels = np.random.default_rng(0).random((2, 32, 32, 3), np.float32)
    old, layers = None, theirs.vision_model.encoder.layers
    for layer in layers:
        old, layer.mlp.activation_fn = layer.mlp.activation_fn, GELUActivation()
    try:
        normal = torch.tensor(np.asarray(model.normalise(pixels))).permute(0, 3, 1, 2)
        with torch.no_grad():
            expected = theirs.get_image_features(normal).pooler_output.numpy()
    finally:
        for layer in layers:
            layer.mlp.activation_fn = old
    found = model(pixels)["embedding"]
    assert np.abs(found - expected).max() <= TOLERANCE * np.abs(expected).max()


@pytest.mark.parametrize(
    ("name", "pool", "projection"), [("vit_tiny_patch16_224", "", "linear"), ("vit_tiny_patch16_224", "map", "none")]
)
def test_a_tower_of_timm_s(timm, tmp_path, name, pool, projection):
    import torch

    torch.manual_seed(0)
    usual = {} if projection == "linear" else {"global_pool": pool}
    tower = timm.create_model(name, img_size=32, num_classes=0, **usual).eval()
    head = torch.nn.Linear(192, 20, bias=False)
    tensors = {f"visual.trunk.{key}": value for key, value in tower.state_dict().items()}
    tensors |= {"logit_scale": torch.ones(()), "text.ln_final.weight": torch.ones(3)}
    tensors |= {"visual.head.proj.weight": head.weight.detach()} if projection == "linear" else {}
    vision = {"image_size": 32, "timm_model_name": name, "timm_pool": pool, "timm_proj": projection}
    cfg = {"embed_dim": 20, "custom_text": True, "vision_cfg": vision, "text_cfg": {}}
    model = load(write(tmp_path, tensors, cfg, mean=[0.5] * 3, std=[0.5] * 3, resize_mode="longest"), cache=False)
    assert model.config.preprocess.mode == "border"
    pixels = np.random.default_rng(0).random((2, 32, 32, 3), np.float32)
    with torch.no_grad():
        expected = tower(torch.tensor(2 * pixels - 1).permute(0, 3, 1, 2))
        expected = (head(expected) if projection == "linear" else expected).numpy()
    found = model(pixels)[model.output]
    assert found.shape == expected.shape and np.abs(found - expected).max() <= TOLERANCE * np.abs(expected).max()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"attentional_pool": True}, "attentional_pool=True in vision_cfg is not supported"),
        ({"pos_embed_type": "sin_cos_2d"}, "only 'learnable'"),
        ({"layers": [3, 4, 6, 3]}, "is a ResNet"),
        ({"act_kwargs": {"alpha": 1}}, "alpha in act_kwargs is not supported"),
        (
            {"timm_model_name": "vit_tiny_patch16_224", "timm_pool": "abs_attn"},
            "timm_pool='abs_attn' with timm_proj='linear'",
        ),
        ({"width": 192}, "tensors of the wrong shape"),
    ],
)
def test_what_is_refused(theirs, tmp_path, change, said):
    model = {**MODEL, "quick_gelu": False, "vision_cfg": {**MODEL["vision_cfg"], **change}}
    with pytest.raises(InputError, match=said) as caught:
        load(write(tmp_path, openai.state(theirs), model), cache=False)
    assert "\n" not in str(caught.value)
