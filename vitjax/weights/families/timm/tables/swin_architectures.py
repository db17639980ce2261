"""timm's Swin Transformers by name, each as the arguments that set it apart; facts of timm 1.0.31.

Keys are those of timm's `SwinTransformer` and `SwinTransformerV2` (`models/swin_transformer.py`,
`models/swin_transformer_v2.py`); a tuple has a value for each stage.
"""

from typing import Any

_SWIN: dict[str, Any] = {
    "img_size": 224,
    "patch_size": 4,
    "num_classes": 1000,
    "global_pool": "avg",
    "window_size": 7,
    "mlp_ratio": 4.0,
    "qkv_bias": True,
}
_TINY = {"embed_dim": 96, "depths": (2, 2, 6, 2), "num_heads": (3, 6, 12, 24)}
_SMALL = {**_TINY, "depths": (2, 2, 18, 2)}
_BASE = {"embed_dim": 128, "depths": (2, 2, 18, 2), "num_heads": (4, 8, 16, 32)}
_LARGE = {"embed_dim": 192, "depths": (2, 2, 18, 2), "num_heads": (6, 12, 24, 48)}
_WIDE = {"img_size": 384, "window_size": 12}
_S3 = {"window_size": (7, 7, 14, 7)}  # windows that a search found (arXiv 2111.14725)

SWIN: dict[str, dict[str, Any]] = {
    "swin_tiny_patch4_window7_224": {**_SWIN, **_TINY},
    "swin_small_patch4_window7_224": {**_SWIN, **_SMALL},
    "swin_base_patch4_window7_224": {**_SWIN, **_BASE},
    "swin_base_patch4_window12_384": {**_SWIN, **_BASE, **_WIDE},
    "swin_large_patch4_window7_224": {**_SWIN, **_LARGE},
    "swin_large_patch4_window12_384": {**_SWIN, **_LARGE, **_WIDE},
    "swin_s3_tiny_224": {**_SWIN, **_TINY, **_S3},
    "swin_s3_small_224": {**_SWIN, **_SMALL, "window_size": (14, 14, 14, 7)},
    "swin_s3_base_224": {**_SWIN, **_TINY, **_S3, "depths": (2, 2, 30, 2)},
}

_V2 = {**_SWIN, "img_size": 256, "pretrained_window_sizes": (0, 0, 0, 0), "act_layer": "gelu"}
_TUNED = {"pretrained_window_sizes": (12, 12, 12, 6)}
_V2_SIZES = {"tiny": _TINY, "small": _SMALL, "base": _BASE, "large": _LARGE}
_V2_FORMS: dict[str, tuple[str, dict[str, Any]]] = {  # what stands after the size: sizes, what differs
    "window8_256": ("tiny small base", {"window_size": 8}),
    "window16_256": ("tiny small base", {"window_size": 16}),
    "window12_192": ("base large", {"img_size": 192, "window_size": 12}),
    "window12to16_192to256": ("base large", {"window_size": 16, **_TUNED}),
    "window12to24_192to384": ("base large", {"img_size": 384, "window_size": 24, **_TUNED}),
}

SWIN_V2: dict[str, dict[str, Any]] = {
    f"swinv2_{size}_{form}": {**_V2, **_V2_SIZES[size], **differences}
    for form, (sizes, differences) in _V2_FORMS.items()
    for size in sizes.split()
}

SWIN_UNSUPPORTED: dict[str, str] = {
    f"swinv2_cr_{size}_{form}": "timm's own form of Swin V2, with a bias and norms of its own; swinv2_* are Microsoft's"
    for size, forms in {
        "tiny": "224 384 ns_224",
        "small": "224 384 ns_224 ns_256",
        "base": "224 384 ns_224",
        "large": "224 384",
        "huge": "224 384",
        "giant": "224 384",
    }.items()
    for form in forms.split()
}
