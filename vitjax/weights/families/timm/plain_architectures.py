"""The plain Vision Transformers of timm by name, each as the arguments that set it apart; facts of timm 1.0.31.

Keys are those of timm's `VisionTransformer`, so a checkpoint's own `model_args` are laid over a row as they are.
The patch size stands in the name, and so does the image size unless a row gives it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from typing import Any

_DEFAULTS: dict[str, Any] = {
    "patch_size": 16,
    "num_classes": 1000,
    "global_pool": "token",
    "mlp_ratio": 4.0,
    "qkv_bias": True,
    "init_values": None,
    "class_token": True,
    "distilled": False,
    "no_embed_class": False,
    "reg_tokens": 0,
    "pre_norm": False,
    "final_norm": True,
    "fc_norm": None,
    "pool_include_prefix": False,
    "qk_norm": False,
    "scale_attn_norm": False,
    "scale_mlp_norm": False,
    "mlp_layer": "mlp",
    "act_layer": "gelu",
    "norm_eps": 1e-6,
}

SIZES = {  # width, depth, heads, width of the MLP relative to the model's
    "tiny": (192, 12, 3, 4),
    "xsmall": (256, 10, 4, 4),
    "wee": (256, 14, 4, 5),
    "little": (320, 14, 5, 5.6),
    "small": (384, 12, 6, 4),
    "small36": (384, 36, 6, 4),
    "medium": (512, 12, 8, 4),
    "mediumd": (512, 20, 8, 4),
    "betwixt": (640, 12, 10, 4),
    "base": (768, 12, 12, 4),
    "base_gap": (768, 12, 16, 4),
    "base_plus": (896, 12, 14, 4),
    "so150m": (896, 18, 14, 2.572),
    "so150m2": (832, 21, 13, 34 / 13),
    "large": (1024, 24, 16, 4),
    "so400m": (1152, 27, 16, 3.7362),
    "huge": (1280, 32, 16, 4),
    "giant": (1408, 40, 16, 48 / 11),
    "giantopt": (1536, 40, 16, 4),
    "dino_giant": (1536, 40, 24, 2.66667 * 2),
    "gigantic": (1664, 48, 16, 64 / 13),
    "test": (64, 6, 2, 3),
    "test2": (64, 8, 2, 3),
    "test3": (96, 9, 3, 2),
}

_CLIP = {"pre_norm": True, "norm_eps": 1e-5}
_QUICK = {**_CLIP, "act_layer": "quick_gelu"}
_SCALED = {"init_values": 1e-5}
_DINOV2 = {**_SCALED, "img_size": 518}
_SWIGLU = {"mlp_layer": "swiglu", "act_layer": "silu"}
_BEIT3 = {"scale_attn_norm": True, "scale_mlp_norm": True, "global_pool": "avg", "norm_eps": 1e-5}
_DEIT3 = {"init_values": 1e-6, "no_embed_class": True}
_MEAN = {"class_token": False, "global_pool": "avg"}
_GAP = {**_MEAN, "fc_norm": False}
_GAP_SCALED = {**_GAP, "init_values": 1e-6, "qkv_bias": False}
_REG = {**_MEAN, **_SCALED, "no_embed_class": True}
_SIGLIP = {"class_token": False, "global_pool": "map"}
_TANH = {"act_layer": "gelu_tanh"}
_TIPS = {"img_size": 448, "init_values": 1.0, "reg_tokens": 1, "no_embed_class": True}

_ROWS: list[tuple[str, str, dict[str, Any]]] = [  # names, size, what differs from the defaults
    ("vit_tiny_patch16_{224,384}", "tiny", {}),
    ("vit_small_patch{16,32}_{224,384}", "small", {}),
    ("vit_small_patch8_224", "small", {}),
    ("vit_small_patch16_36x1_224", "small36", _SCALED),
    ("vit_base_patch{16,32}_{224,384}", "base", {}),
    ("vit_base_patch8_224", "base", {}),
    ("vit_base_patch16_224_miil", "base", {"qkv_bias": False}),
    ("vit_base_patch32_plus_256", "base_plus", _SCALED),
    ("vit_base_patch16_plus_240", "base_plus", _SCALED),
    ("vit_large_patch{16,32}_{224,384}", "large", {}),
    ("vit_{large,huge,giant,gigantic}_patch14_224", "*", {}),
    ("vit_intern300m_patch14_448", "large", {"init_values": 0.1, "final_norm": False}),
    ("eva_large_patch14_{196,336}", "large", {"global_pool": "avg"}),
    ("beit3_{base,large}_patch16_224", "*", _BEIT3),
    ("beit3_giant_patch14_{224,336}", "giant", {**_BEIT3, "mlp_ratio": 4.3637}),
    ("flexivit_{small,base,large}", "*", {"img_size": 240, "no_embed_class": True}),
    ("deit_{tiny,small,base}_patch16_224", "*", {}),
    ("deit_base_patch16_384", "base", {}),
    ("deit_{tiny,small,base}_distilled_patch16_224", "*", {"distilled": True}),
    ("deit_base_distilled_patch16_384", "base", {"distilled": True}),
    ("deit3_{small,medium,base,large}_patch16_224", "*", _DEIT3),
    ("deit3_{small,base,large}_patch16_384", "*", _DEIT3),
    ("deit3_huge_patch14_224", "huge", _DEIT3),
    ("vit_{xsmall,medium,base}_patch16_clip_224", "*", _CLIP),
    ("vit_{medium,betwixt,base}_patch32_clip_224", "*", _CLIP),
    ("vit_base_patch32_clip_{256,384,448}", "base", _CLIP),
    ("vit_base_patch16_clip_384", "base", _CLIP),
    ("vit_base_patch16_plus_clip_240", "base_plus", _CLIP),
    ("vit_{large,huge,giant,gigantic}_patch14_clip_224", "*", _CLIP),
    ("vit_{large,huge}_patch14_clip_336", "*", _CLIP),
    ("vit_{huge,gigantic}_patch14_clip_378", "*", _CLIP),
    ("vit_base_patch{16,32}_clip_quickgelu_224", "base", _QUICK),
    ("vit_large_patch14_clip_quickgelu_{224,336}", "large", _QUICK),
    ("vit_huge_patch14_clip_quickgelu_{224,378}", "huge", _QUICK),
    ("vit_gigantic_patch14_clip_quickgelu_224", "gigantic", _QUICK),
    ("vit_{small,base,large}_patch14_dinov2", "*", _DINOV2),
    ("vit_{small,base,large}_patch14_reg4_dinov2", "*", {**_DINOV2, "reg_tokens": 4, "no_embed_class": True}),
    ("vit_giant_patch14_dinov2", "dino_giant", {**_DINOV2, **_SWIGLU}),
    ("vit_giant_patch14_reg4_dinov2", "dino_giant", {**_DINOV2, **_SWIGLU, "reg_tokens": 4, "no_embed_class": True}),
    ("vit_giant_patch14_reg1_tipsv2", "dino_giant", {**_TIPS, **_SWIGLU}),
    ("vit_{base,large}_patch14_reg1_tipsv2", "*", _TIPS),
    ("vit_so400m_patch14_reg1_tipsv2", "so400m", {**_TIPS, "mlp_ratio": 4304 / 1152}),
    ("vit_medium_patch16_gap_{240,256,384}", "medium", _GAP_SCALED),
    ("vit_betwixt_patch16_gap_256", "betwixt", _GAP_SCALED),
    ("vit_base_patch16_gap_224", "base_gap", _GAP),
    ("vit_huge_patch14_gap_224", "huge", _GAP),
    ("vit_huge_patch16_gap_448", "huge", _GAP),
    ("vit_giant_patch16_gap_224", "giant", _GAP),
    ("vit_{wee,little,medium,betwixt}_patch16_reg1_gap_256", "*", {**_REG, "reg_tokens": 1}),
    ("vit_{little,medium,mediumd,betwixt}_patch16_reg4_gap_256", "*", {**_REG, "reg_tokens": 4}),
    ("vit_{mediumd,betwixt}_patch16_reg4_gap_384", "*", {**_REG, "reg_tokens": 4}),
    ("vit_base_patch16_reg4_gap_256", "base", {**_MEAN, "no_embed_class": True, "reg_tokens": 4}),
    ("vit_so150m_patch16_reg4_map_256", "so150m", {**_SIGLIP, "reg_tokens": 4}),
    ("vit_so150m_patch16_reg4_gap_{256,384}", "so150m", {**_GAP, "reg_tokens": 4}),
    ("vit_so150m2_patch16_reg1_gap_{256,384,448}", "so150m2", {**_MEAN, **_SCALED, "qkv_bias": False, "reg_tokens": 1}),
    ("vit_base_patch16_siglip_{224,256,384,512}", "base", _SIGLIP),
    ("vit_base_patch16_siglip_gap_{224,256,384,512}", "base", _GAP),
    ("vit_base_patch32_siglip_256", "base", {**_SIGLIP, **_TANH}),
    ("vit_base_patch32_siglip_gap_256", "base", {**_GAP, **_TANH}),
    ("vit_large_patch16_siglip_{256,384}", "large", _SIGLIP),
    ("vit_large_patch16_siglip_gap_{256,384}", "large", _GAP),
    ("vit_large_patch16_siglip_512", "large", {**_SIGLIP, **_TANH}),
    ("vit_large_patch16_siglip_gap_512", "large", {**_GAP, **_TANH}),
    ("vit_so400m_patch14_siglip_{224,378,384}", "so400m", _SIGLIP),
    ("vit_so400m_patch14_siglip_gap_{224,378,384,448,896}", "so400m", _GAP),
    ("vit_so400m_patch16_siglip_{256,384,512}", "so400m", {**_SIGLIP, **_TANH}),
    ("vit_so400m_patch16_siglip_gap_{256,384,512}", "so400m", {**_GAP, **_TANH}),
    ("vit_giantopt_patch16_siglip_{256,384}", "giantopt", {**_SIGLIP, **_TANH}),
    ("vit_giantopt_patch16_siglip_gap_{256,384}", "giantopt", {**_GAP, **_TANH}),
    ("test_vit", "test", {"img_size": 160}),
    ("test_vit2", "test2", {**_MEAN, **_SCALED, "img_size": 160, "reg_tokens": 1}),
    ("test_vit3", "test3", {**_SIGLIP, **_SCALED, "img_size": 160, "reg_tokens": 1, "pool_include_prefix": True}),
]

_OTHERS = {  # names, what sets them apart from a plain Vision Transformer
    "vit_{small,base}_patch16_18x2_224": "parallel blocks",
    "vit_{pwee,dpwee}_patch16_reg1_gap_256": "parallel blocks",
    "vit_{dwee,dlittle}_patch16_reg1_gap_256": "differential attention",
    "vit_base_patch16_rpn_224": "norms after the residual branches",
    "vit_base_patch16_xp_224": "parallel blocks and RMSNorm",
    "vit_{large,huge}_patch14_xp_224": "parallel blocks and RMSNorm",
    "aimv2_{large,huge,1b,3b}_patch14_{224,336,448}": "a SwiGLU MLP and RMSNorm",
    "vit_{base,large,huge,giant}_patch16_radio_v3": "position embeddings cropped to the image",
    "vit_{so400m,huge}_patch16_radio_v4": "position embeddings cropped to the image",
    "test_vit4": "RMSNorm",
}


def names(pattern: str) -> Iterator[tuple[str, str]]:
    """Spells out the {alternatives} of a pattern, each name with its first alternative."""
    parts = [part.split(",") for part in re.split(r"[{}]", pattern)]
    for choice in product(*parts):
        yield "".join(choice), choice[min(1, len(choice) - 1)]


def spelled(
    rows: Iterable[tuple[str, str, dict[str, Any]]],
    sizes: Mapping[str, tuple[int, int, int, float]],
    defaults: Mapping[str, Any],
) -> dict[str, dict[str, Any]]:
    """Writes a table of architectures out: {name: all its arguments}.

    Args:
        rows: pattern of names, size ("*": the pattern's first alternative), what differs from the defaults.
        sizes: width, depth, heads and the MLP's width relative to the model's.
        defaults: every argument.
    """
    return {
        name: {**defaults, **_sizes(name, *sizes[first if size == "*" else size]), **differences}
        for pattern, size, differences in rows
        for name, first in names(pattern)
    }


def _sizes(name: str, width: int, depth: int, heads: int, ratio: float) -> dict[str, Any]:
    sizes = {"embed_dim": width, "depth": depth, "num_heads": heads, "mlp_ratio": ratio}
    for key, number in (("patch_size", r"_patch(\d+)_"), ("img_size", r"_(\d+)(?:_|$)")):
        if found := re.search(number, name):
            sizes[key] = int(found[1])
    return sizes


ARCHITECTURES: dict[str, dict[str, Any]] = spelled(_ROWS, SIZES, _DEFAULTS)

UNSUPPORTED: dict[str, str] = {name: reason for pattern, reason in _OTHERS.items() for name, _ in names(pattern)}
