"""timm's Swin Transformers by name, each as the arguments that set it apart; facts of timm 1.0.31.

Keys are those of timm's `SwinTransformer` (`models/swin_transformer.py`); a tuple has a value for each stage.
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

SWIN: dict[str, dict[str, Any]] = {
    "swin_tiny_patch4_window7_224": {**_SWIN, **_TINY},
    "swin_small_patch4_window7_224": {**_SWIN, **_SMALL},
    "swin_base_patch4_window7_224": {**_SWIN, **_BASE},
    "swin_base_patch4_window12_384": {**_SWIN, **_BASE, **_WIDE},
    "swin_large_patch4_window7_224": {**_SWIN, **_LARGE},
    "swin_large_patch4_window12_384": {**_SWIN, **_LARGE, **_WIDE},
}
