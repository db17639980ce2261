"""timm's descendants of BEiT by name, each as the arguments that set it apart; facts of timm 1.0.31.

These are BEiT and BEiT v2 (`models/beit.py`), and EVA, EVA-02, DINOv3, Perception Encoder and the ViTs with rotary
positions (`models/eva.py`). Keys are those of timm's `Eva`, which has all of `Beit`'s but the relative positions.
"""

from typing import Any

from vitjax.weights.families.timm.plain_architectures import SIZES, names, spelled

_DEFAULTS: dict[str, Any] = {
    "patch_size": 16,
    "num_classes": 1000,
    "global_pool": "avg",
    "qkv_bias": True,
    "qk_norm": False,
    "swiglu_mlp": False,
    "swiglu_align_to": 0,
    "scale_mlp": False,
    "scale_attn_inner": False,
    "attn_type": "eva",
    "init_values": None,
    "class_token": True,
    "num_reg_tokens": 0,
    "no_embed_class": False,
    "use_abs_pos_emb": True,
    "use_rot_pos_emb": False,
    "rope_type": "cat",
    "rope_grid_offset": 0.0,
    "rope_grid_indexing": "ij",
    "rope_temperature": 10000.0,
    "rope_rotate_half": False,
    "ref_feat_shape": None,
    "use_rel_pos_bias": False,
    "use_pre_transformer_norm": False,
    "use_post_transformer_norm": None,
    "use_fc_norm": None,
    "attn_pool_num_heads": None,
    "attn_pool_mlp_ratio": None,
    "norm_eps": 1e-6,
}

_SIZES = {
    **SIZES,
    "huge_plus": (1280, 32, 20, 4),
    "lang_large": (1024, 23, 16, 4),
    "lang_gigantic": (1536, 47, 16, 8960 / 1536),
    "spatial_gigantic": (1536, 50, 16, 8960 / 1536),
    "lingbot_giant": (1536, 40, 24, 8 / 3),
    "7b": (4096, 40, 32, 2),
}

_BEIT = {"use_abs_pos_emb": False, "use_rel_pos_bias": True, "init_values": 1e-5}
_ROTARY = {"use_rot_pos_emb": True, "ref_feat_shape": (16, 16)}
_EVA02 = {**_ROTARY, "mlp_ratio": 4 * 2 / 3, "swiglu_mlp": True}
_NORMED = {**_EVA02, "scale_mlp": True}
_CLIP = {**_NORMED, "scale_attn_inner": True, "global_pool": "token"}
_GAP = {**_ROTARY, "use_abs_pos_emb": False, "init_values": 1e-5, "class_token": False}
_ROPE = {
    "attn_type": "rope", "init_values": 1e-5, "global_pool": "token", "use_rot_pos_emb": True,
    "rope_grid_indexing": "xy", "rope_temperature": 100.0,
}  # fmt: skip
_PE = {
    "attn_type": "rope", "use_pre_transformer_norm": True, "use_rot_pos_emb": True, "rope_grid_indexing": "xy",
    "norm_eps": 1e-5,
}  # fmt: skip
_CORE = {**_PE, "global_pool": "map", "rope_grid_offset": 1.0, "attn_pool_num_heads": 8, "attn_pool_mlp_ratio": 4.0}
_BARE = {**_PE, "use_post_transformer_norm": False, "use_fc_norm": False, "ref_feat_shape": (32, 32)}
_WITH_CLASS = {**_BARE, "rope_grid_offset": 1.0}
_GIGANTIC = {**_BARE, "class_token": False, "init_values": 0.1}
_DINOV3 = {
    "img_size": 256, "num_classes": 0, "qkv_bias": False, "init_values": 1e-5, "rope_type": "dinov3",
    "rope_temperature": 100, "rope_rotate_half": True, "use_rot_pos_emb": True, "use_abs_pos_emb": False,
    "num_reg_tokens": 4, "use_fc_norm": False, "norm_eps": 1e-5,
}  # fmt: skip
_GATED = {"swiglu_mlp": True, "swiglu_align_to": 8}
_BIAS = {"qkv_bias": True}
_LINGBOT = {**_DINOV3, "img_size": 512, "global_pool": "token"}

_ROWS: list[tuple[str, str, dict[str, Any]]] = [  # names, size, what differs from the defaults
    ("beit_base_patch16_{224,384}", "base", {**_BEIT, "init_values": 0.1}),
    ("beit_large_patch16_{224,384,512}", "large", _BEIT),
    ("beitv2_{base,large}_patch16_224", "*", _BEIT),
    ("eva_giant_patch14_{224,336,560}", "giant", {"mlp_ratio": 6144 / 1408}),
    ("eva_giant_patch14_clip_224", "giant", {"mlp_ratio": 6144 / 1408, "global_pool": "token"}),
    ("eva02_{tiny,small}_patch14_{224,336}", "*", _EVA02),
    ("eva02_{base,large}_patch14_{224,448}", "*", _NORMED),
    ("eva02_base_patch16_clip_224", "base", _CLIP),
    ("eva02_large_patch14_clip_{224,336}", "large", _CLIP),
    ("vit_{medium,base}_patch16_rope_reg1_gap_256", "*", {**_GAP, "num_reg_tokens": 1}),
    ("vit_mediumd_patch16_rope_reg1_gap_256", "mediumd", {**_GAP, "num_reg_tokens": 1, "qkv_bias": False}),
    ("vit_betwixt_patch16_rope_reg4_gap_256", "betwixt", {**_GAP, "num_reg_tokens": 4}),
    ("vit_{small,large}_patch16_rope_224", "*", {**_ROPE, "use_abs_pos_emb": False}),
    ("vit_base_patch16_rope_224", "base", {**_ROPE, "use_abs_pos_emb": False, "use_fc_norm": False}),
    ("vit_{small,base,large}_patch16_rope_ape_224", "*", {**_ROPE, "no_embed_class": True}),
    ("vit_pe_core_{tiny,small}_patch16_384", "*", {**_CORE, "ref_feat_shape": (24, 24)}),
    ("vit_pe_core_base_patch16_224", "base", {**_CORE, "ref_feat_shape": (14, 14)}),
    ("vit_pe_core_large_patch14_336", "large", {**_CORE, "ref_feat_shape": (24, 24)}),
    ("vit_pe_lang_large_patch14_448", "lang_large", {**_WITH_CLASS, "init_values": 0.1}),
    ("vit_pe_lang_gigantic_patch14_448", "lang_gigantic", _GIGANTIC),
    ("vit_pe_spatial_{tiny,small,base}_patch16_512", "*", _WITH_CLASS),
    ("vit_pe_spatial_large_patch14_448", "large", _WITH_CLASS),
    ("vit_pe_spatial_gigantic_patch14_448", "spatial_gigantic", _GIGANTIC),
    ("vit_{small,base,large}_patch16_dinov3", "*", _DINOV3),
    ("vit_{tiny,small,base,large}_patch16_dinov3_qkvb", "*", {**_DINOV3, **_BIAS}),
    ("vit_small_plus_patch16_dinov3", "small", {**_DINOV3, **_GATED}),
    ("vit_small_plus_patch16_dinov3_qkvb", "small", {**_DINOV3, **_GATED, **_BIAS}),
    ("vit_huge_plus_patch16_dinov3", "huge_plus", {**_DINOV3, **_GATED}),
    ("vit_huge_plus_patch16_dinov3_qkvb", "huge_plus", {**_DINOV3, **_GATED, **_BIAS}),
    ("vit_7b_patch16_dinov3", "7b", {**_DINOV3, "swiglu_mlp": True, "swiglu_align_to": 64}),
    ("vit_{small,base,large}_patch16_lingbot", "*", {**_LINGBOT, **_BIAS}),
    ("vit_giant_patch16_lingbot", "lingbot_giant", {**_LINGBOT, **_GATED}),
]

_OTHERS = {  # names, what sets them apart
    "eva02_enormous_patch14_clip_224": "norms after the residual branches",
    "vit_{small,base,large}_patch16_rope_{mixed,mixed_ape}_224": "rotary positions with learned frequencies",
    "vit_pe_core_gigantic_patch14_448": "an MLP of its own width in the pooling head",
    "vit_{base,large,huge,giant,5b}_patch16_sapiens2": "RMSNorm and fewer heads for k and v than for q",
}

EVA_ARCHITECTURES: dict[str, dict[str, Any]] = spelled(_ROWS, _SIZES, _DEFAULTS)

EVA_UNSUPPORTED: dict[str, str] = {name: reason for pattern, reason in _OTHERS.items() for name, _ in names(pattern)}
