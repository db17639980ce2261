"""Small random models of timm's `Eva` and `Beit`: every activation, the output and its gradient must be timm's."""

import json
from inspect import signature

import numpy as np
import pytest
from safetensors.numpy import save_file

from converters.referees.parity import GRADIENT, output_errors
from tests.weights.test_parity_timm import PREPROCESS, check, make, tensors
from vitjax.weights.families.family import port
from vitjax.weights.families.timm.eva_architectures import EVA_ARCHITECTURES, EVA_UNSUPPORTED
from vitjax.weights.families.timm.models import TIMM
from vitjax.weights.load import load
from vitjax.weights.parameters import build

SMALL = {"patch_size": 16, "img_size": 48}
VARIANTS = {  # what it shows: architecture, arguments
    "BEiT: relative positions": ("beit_base_patch16_224", {"img_size": [48, 32]}),
    "EVA: q and v alone have a bias": ("eva_giant_patch14_clip_224", {}),
    "EVA-02: rotary, gated, fused qkv": ("eva02_tiny_patch14_224", {}),
    "EVA-02: inner norms, split qkv": ("eva02_base_patch16_clip_224", {"img_size": [32, 48]}),
    "DINOv3": ("vit_small_patch16_dinov3", {"img_size": [32, 48]}),
    "DINOv3 with bias, gated": ("vit_small_plus_patch16_dinov3_qkvb", {"global_pool": "token"}),
    "rotary without absolute positions, registers": ("vit_base_patch16_rope_reg1_gap_256", {}),
    "rotary and absolute, columns first": ("vit_small_patch16_rope_ape_224", {"img_size": [32, 48]}),
    "Perception Encoder": ("vit_pe_core_base_patch16_224", {"mlp_ratio": 4, "attn_pool_num_heads": 2}),
    "Perception Encoder without norm": ("vit_pe_spatial_base_patch16_512", {}),
}


@pytest.mark.representatives(
    "Perception Encoder", "BEiT: relative positions", "EVA-02: inner norms, split qkv", "DINOv3"
)
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_activation(timm, variant):
    architecture, arguments = VARIANTS[variant]
    theirs, config_json = make(timm, architecture, {**SMALL, **arguments})
    model = build(*port(TIMM, tensors(theirs), config_json))
    assert set(check(model, theirs)) == {*model.taps(), GRADIENT}


@pytest.mark.representatives("vit_small_patch16_dinov3")
@pytest.mark.filterwarnings("ignore::UserWarning")  # of torch, about how timm resamples tables of distances
@pytest.mark.parametrize(
    "architecture", ["beit_base_patch16_224", "eva02_tiny_patch14_224", "vit_small_patch16_dinov3"]
)
def test_another_image_size(timm, tmp_path, architecture):
    theirs, config_json = make(timm, architecture, SMALL)
    save_file(tensors(theirs), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(config_json))
    theirs.set_input_size((80, 32))
    model = load(tmp_path, image_size=(80, 32), cache=False)
    check(model, theirs, errors_of=output_errors)


def test_every_architecture_has_timm_s_arguments(timm, monkeypatch):
    modules = (timm.models.eva, timm.models.beit)
    named = {name for module in ("eva", "beit") for name in timm.list_models(module=module)}
    assert named == EVA_ARCHITECTURES.keys() | EVA_UNSUPPORTED.keys()
    defaults = {"norm_eps": 1e-6, "use_rel_pos_bias": False}
    for cls in (timm.models.beit.Beit, timm.models.eva.Eva):
        defaults |= {key: parameter.default for key, parameter in signature(cls.__init__).parameters.items()}
    for module in modules:
        monkeypatch.setattr(module, "build_model_with_cfg", lambda cls, *_, **given: given)
    for name, row in EVA_ARCHITECTURES.items():
        given, cfg = timm.model_entrypoint(name)(), timm.get_pretrained_cfg(name)
        given |= {"img_size": cfg.input_size[1], "num_classes": given.get("num_classes", row["num_classes"])}
        if "norm_layer" in given:
            given["norm_eps"] = given["norm_layer"].keywords["eps"]
        assert row == {key: given.get(key, defaults[key]) for key in row}, name


@pytest.mark.exhaustive
def test_every_architecture_has_timm_s_tensors(timm):
    import torch

    small = {"embed_dim": 32, "num_heads": 2, "mlp_ratio": 2, "depth": 1, "img_size": 32, "num_classes": 3}
    for name, row in EVA_ARCHITECTURES.items():
        pool = {"attn_pool_num_heads": 2, "attn_pool_mlp_ratio": 2} if row["global_pool"] == "map" else {}
        with torch.device("meta"):
            theirs = timm.create_model(name, **small, **pool)
        source = {key: np.zeros(tuple(value.shape), np.float32) for key, value in theirs.state_dict().items()}
        config_json = {"architecture": name, "model_args": small | pool, "pretrained_cfg": PREPROCESS}
        assert port(TIMM, source, config_json)[0].norm_eps == theirs.blocks[0].norm1.eps, name
