"""Small random models of timm's `Eva` and `Beit`: every activation, the output and its gradient must be timm's."""

from inspect import signature

import numpy as np
import pytest

from converters.parity import GRADIENT
from tests.test_parity_timm import PREPROCESS, check, make, tensors
from vitjax.weights.load import load
from vitjax.weights.rules import build
from vitjax.weights.timm import port
from vitjax.weights.timm_eva_architectures import EVA_ARCHITECTURES, EVA_UNSUPPORTED

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


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_activation(timm, variant):
    architecture, arguments = VARIANTS[variant]
    theirs, config_json = make(timm, architecture, {**SMALL, **arguments})
    model = build(*port(tensors(theirs), config_json))
    assert set(check(model, theirs)) == {*model.taps(), GRADIENT}
