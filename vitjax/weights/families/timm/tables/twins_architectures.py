"""timm's Twins by name, each as the arguments that set it apart; facts of timm 1.0.31.

Keys are those of timm's `Twins` (`models/twins.py`); a tuple has a value for each stage.
"""

from typing import Any

_TWINS: dict[str, Any] = {
    "img_size": 224,
    "patch_size": 4,
    "num_classes": 1000,
    "global_pool": "avg",
    "sr_ratios": (8, 4, 2, 1),
}
_PCPVT = {
    **_TWINS,
    "embed_dims": (64, 128, 320, 512),
    "num_heads": (1, 2, 5, 8),
    "mlp_ratios": (8.0, 8.0, 4.0, 4.0),
    "wss": None,
}
_SVT = {**_TWINS, "mlp_ratios": (4.0, 4.0, 4.0, 4.0), "wss": (7, 7, 7, 7)}

TWINS: dict[str, dict[str, Any]] = {
    "twins_pcpvt_small": {**_PCPVT, "depths": (3, 4, 6, 3)},
    "twins_pcpvt_base": {**_PCPVT, "depths": (3, 4, 18, 3)},
    "twins_pcpvt_large": {**_PCPVT, "depths": (3, 8, 27, 3)},
    "twins_svt_small": {
        **_SVT,
        "embed_dims": (64, 128, 256, 512),
        "num_heads": (2, 4, 8, 16),
        "depths": (2, 2, 10, 4),
    },
    "twins_svt_base": {
        **_SVT,
        "embed_dims": (96, 192, 384, 768),
        "num_heads": (3, 6, 12, 24),
        "depths": (2, 2, 18, 2),
    },
    "twins_svt_large": {
        **_SVT,
        "embed_dims": (128, 256, 512, 1024),
        "num_heads": (4, 8, 16, 32),
        "depths": (2, 2, 18, 2),
    },
}
