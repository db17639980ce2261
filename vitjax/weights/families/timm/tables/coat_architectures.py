"""timm's CoaTs by name, each as the arguments that set it apart; facts of timm 1.0.31.

Keys are those of timm's `CoaT` (`models/coat.py`); a tuple has a value for each of four scales.
"""

from typing import Any

_COAT: dict[str, Any] = {
    "img_size": 224,
    "patch_size": 4,
    "num_classes": 1000,
    "global_pool": "token",
    "serial_depths": (2, 2, 2, 2),
    "parallel_depth": 0,
    "num_heads": 8,
    "mlp_ratios": (4.0, 4.0, 4.0, 4.0),
    "qkv_bias": True,
}
_PARALLEL = {**_COAT, "parallel_depth": 6}
_LITE = {**_COAT, "embed_dims": (64, 128, 320, 512), "mlp_ratios": (8.0, 8.0, 4.0, 4.0)}
_MEDIUM = {**_COAT, "embed_dims": (128, 256, 320, 512), "serial_depths": (3, 6, 10, 8)}

COAT: dict[str, dict[str, Any]] = {
    "coat_tiny": {**_PARALLEL, "embed_dims": (152, 152, 152, 152)},
    "coat_mini": {**_PARALLEL, "embed_dims": (152, 216, 216, 216)},
    "coat_small": {**_PARALLEL, "embed_dims": (152, 320, 320, 320)},
    "coat_lite_tiny": {**_LITE, "embed_dims": (64, 128, 256, 320)},
    "coat_lite_mini": _LITE,
    "coat_lite_small": {**_LITE, "serial_depths": (3, 4, 6, 3)},
    "coat_lite_medium": _MEDIUM,
    "coat_lite_medium_384": {**_MEDIUM, "img_size": 384},
}
