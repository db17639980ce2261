"""timm's PVT v2 by name, each as the arguments that set it apart; facts of timm 1.0.31.

Keys are those of timm's `PyramidVisionTransformerV2` (`models/pvt_v2.py`), a tuple has a value for each stage; and
`img_size` and `patch_size`, which are no arguments there: any size will do, and there are four pixels to a token.
"""

from typing import Any

_PVT: dict[str, Any] = {
    "img_size": 224,
    "patch_size": 4,
    "num_classes": 1000,
    "global_pool": "avg",
    "embed_dims": (64, 128, 320, 512),
    "num_heads": (1, 2, 5, 8),
    "sr_ratios": (8, 4, 2, 1),
    "mlp_ratios": (8.0, 8.0, 4.0, 4.0),
    "qkv_bias": True,
    "linear": False,
}

PVT_V2: dict[str, dict[str, Any]] = {
    "pvt_v2_b0": {**_PVT, "embed_dims": (32, 64, 160, 256), "depths": (2, 2, 2, 2)},
    "pvt_v2_b1": {**_PVT, "depths": (2, 2, 2, 2)},
    "pvt_v2_b2": {**_PVT, "depths": (3, 4, 6, 3)},
    "pvt_v2_b3": {**_PVT, "depths": (3, 4, 18, 3)},
    "pvt_v2_b4": {**_PVT, "depths": (3, 8, 27, 3)},
    "pvt_v2_b5": {**_PVT, "depths": (3, 6, 40, 3), "mlp_ratios": (4.0, 4.0, 4.0, 4.0)},
    "pvt_v2_b2_li": {**_PVT, "depths": (3, 4, 6, 3), "linear": True},
}
