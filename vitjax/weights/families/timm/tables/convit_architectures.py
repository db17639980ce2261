"""timm's ConViTs by name, each as the arguments that set it apart; facts of timm 1.0.31.

Keys are those of timm's `ConVit` (`models/convit.py`), whose `embed_dim` is that of one head.
"""

from typing import Any

_CONVIT: dict[str, Any] = {
    "img_size": 224,
    "patch_size": 16,
    "embed_dim": 48,
    "depth": 12,
    "mlp_ratio": 4.0,
    "qkv_bias": False,
    "num_classes": 1000,
    "global_pool": "token",
    "local_up_to_layer": 10,
}

CONVIT: dict[str, dict[str, Any]] = {
    "convit_tiny": {**_CONVIT, "num_heads": 4},
    "convit_small": {**_CONVIT, "num_heads": 9},
    "convit_base": {**_CONVIT, "num_heads": 16},
}
