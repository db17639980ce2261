"""Small random models of timm through the converter: every activation, the output and its gradient must be timm's."""

import json

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from converters import port_timm as converter
from converters.referees.parity import EXACT, GRADIENT, TOLERANCE, output_errors, relative_errors
from converters.referees.timm_vit import reference
from tests.support.noise import randomise
from vitjax.errors import InputError
from vitjax.weights.families.family import port
from vitjax.weights.families.timm.models import TIMM
from vitjax.weights.load import load
from vitjax.weights.parameters import build
from vitjax.weights.rules.resize import resize_positions

SMALL = {"embed_dim": 24, "depth": 2, "num_heads": 3, "mlp_ratio": 2.5, "img_size": 48, "num_classes": 7}
VARIANTS = {  # what it shows: architecture, arguments
    "class token": ("vit_tiny_patch16_224", {}),
    "distilled": ("deit_tiny_distilled_patch16_224", {}),
    "layer scale, positions for patches only": ("deit3_small_patch16_224", {}),
    "registers": ("vit_small_patch14_reg4_dinov2", {"img_size": 42}),
    "registers with positions, no class token": ("vit_so150m_patch16_reg4_gap_256", {}),
    "CLIP: norm before the blocks, quick GELU": ("vit_base_patch32_clip_quickgelu_224", {"img_size": 64}),
    "mean of patches, norm after it": ("eva_large_patch14_196", {"img_size": 42}),
    "mean of all tokens, norm before it": ("vit_base_patch16_gap_224", {"pool_include_prefix": True, "reg_tokens": 2}),
    "attention pooling, no class token, tanh GELU": ("vit_base_patch32_siglip_256", {"img_size": 64}),
    "attention pooling over registers too": ("test_vit3", {"qkv_bias": False}),
    "no head": ("vit_tiny_patch16_224", {"num_classes": 0}),
    "no final norm": ("vit_intern300m_patch14_448", {"img_size": 42}),
    "norms inside attention and MLP, of q and k too": ("beit3_base_patch16_224", {"qk_norm": True}),
    "gated MLP": ("vit_giant_patch14_dinov2", {"img_size": 42}),
    "rectangle, no qkv bias": ("vit_base_patch16_224_miil", {"img_size": [48, 80]}),
}
PREPROCESS = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}


def make(timm, architecture, arguments, seed=0):
    """A model of timm with every parameter drawn at random, and the config.json it would have."""
    arguments = {**SMALL, **arguments}
    model = timm.create_model(architecture, **arguments).eval()
    randomise(model, r"(norm\w*\.weight|gamma)$", seed)
    return model, {"architecture": architecture, "model_args": arguments, "pretrained_cfg": PREPROCESS}


def tensors(model, dtype=np.float32):
    """The model's tensors by timm's names."""
    return {name: tensor.numpy().astype(dtype) for name, tensor in model.state_dict().items()}


def check(model, theirs, dtype=np.float32, tolerance=TOLERANCE, errors_of=relative_errors, images=2):
    """Asserts agreement with a model of timm on images of noise; returns the errors."""
    images = np.random.default_rng(1).random((images, *model.config.image_size, 3)).astype(dtype)
    errors = errors_of(model, reference(theirs, images, model.config.preprocess))
    worst = max(errors, key=errors.get)
    assert errors[worst] <= tolerance, (worst, errors[worst])
    return errors


@pytest.mark.representatives(
    "class token",
    "attention pooling, no class token, tanh GELU",
    "registers",
    "distilled",
    "norms inside attention and MLP, of q and k too",
)
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_activation(timm, variant):
    theirs, config_json = make(timm, *VARIANTS[variant])
    model = build(*port(TIMM, tensors(theirs), config_json))
    assert set(check(model, theirs)) == {*model.taps(), GRADIENT}


@pytest.mark.parametrize("variant", ["class token", "attention pooling over registers too"])
def test_output_alone(timm, variant):
    theirs, config_json = make(timm, *VARIANTS[variant])
    model = build(*port(TIMM, tensors(theirs), config_json))
    assert set(check(model, theirs, errors_of=output_errors)) == {model.output, GRADIENT}


def test_half_precision_source(timm):
    theirs, config_json = make(timm, *VARIANTS["class token"])
    theirs = theirs.half().float()
    check(build(*port(TIMM, tensors(theirs, np.float16), config_json)), theirs)


def test_another_image_size(timm, tmp_path):
    theirs, config_json = make(timm, VARIANTS["class token"][0], {"img_size": 64})
    save_file(tensors(theirs), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(config_json))
    theirs.set_input_size((96, 48))
    model = load(tmp_path, image_size=(96, 48), cache=False)
    assert model.config.grid == (6, 3)
    check(model, theirs)


@pytest.mark.parametrize("new", [(7, 7), (3, 10), (14, 4)])
@pytest.mark.parametrize(
    ("convention", "torch_mode"), [("bicubic", ("bicubic", True)), ("bilinear", ("bilinear", False))]
)
def test_resampled_positions(timm, new, convention, torch_mode):
    import torch
    from timm.layers import resample_abs_pos_embed

    positions = np.random.default_rng(0).standard_normal((5 * 6, 8)).astype(np.float32)
    mode, antialias = torch_mode
    theirs = resample_abs_pos_embed(
        torch.tensor(positions)[None], list(new), [5, 6], 0, interpolation=mode, antialias=antialias
    )
    ours = resize_positions(positions, (5, 6), new, convention)
    np.testing.assert_allclose(ours, theirs[0].numpy(), atol=2e-5)


def test_resampling_refuses_what_it_cannot_do():
    positions = np.zeros((4, 3), np.float32)
    assert resize_positions(positions, (2, 2), (2, 2)) is positions
    with pytest.raises(InputError, match=r"'bicubik' \(did you mean bicubic"):
        resize_positions(positions, (2, 2), (3, 3), "bicubik")
    with pytest.raises(InputError, match="4 position embeddings do not fill a grid of 2x3"):
        resize_positions(positions, (2, 3), (3, 3))


def test_the_proof_sees_a_wrong_formula(timm):
    theirs, config_json = make(timm, "vit_tiny_patch16_224", {"depth": 1})
    source = tensors(theirs)
    theirs.double()
    for wrong in ({"norm_eps": 1e-5}, {"act_layer": "gelu_tanh"}):
        arguments = config_json["model_args"] | wrong
        model = build(*port(TIMM, source, config_json | {"model_args": arguments}))
        with pytest.raises(AssertionError, match=r"blocks|norm|image"):
            check(model, theirs, np.float64, EXACT)


def test_script(timm, tmp_path, capsys):
    theirs, config_json = make(timm, "test_vit", {"img_size": 32, "depth": 1})
    save_file(tensors(theirs), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(config_json))
    noise = np.random.default_rng(0).integers(256, size=(40, 60, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "photograph.png")
    assert converter.main([str(tmp_path), "--images", str(tmp_path), "--out", str(tmp_path / "out")]) == 0
    *table, verdict, written = capsys.readouterr().out.splitlines()
    model = load(tmp_path / "out")
    assert [line.split()[0] for line in table[1:-1]] == list(model.taps()) and GRADIENT in table[-1]
    assert "none of" in verdict and written.endswith("out")
    assert json.loads((tmp_path / "out" / "parity.json").read_text()).keys() == {*model.taps(), GRADIENT}


def test_real_checkpoint(timm, shared_data):
    folder = shared_data / "vit_tiny_patch16_224"
    model = load(folder, cache=False)
    theirs = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    check(model, theirs.double(), np.float64, EXACT, output_errors, images=1)
