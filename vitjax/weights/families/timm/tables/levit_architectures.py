"""timm's LeViTs by name, each as the arguments that set it apart; facts of timm 1.0.31.

Keys are those of timm's `Levit` and `LevitDistilled` (`models/levit.py`); a tuple has a value for each stage. Those
called `levit_conv_…` keep the same matrices as convolutions of one place.
"""

from typing import Any

_DEFAULTS: dict[str, Any] = {
    "img_size": 224,
    "num_classes": 1000,
    "global_pool": "avg",
    "depth": (4, 4, 4),
    "mlp_ratio": 2.0,
    "act_layer": "hard_swish",
    "stem_type": "s16",
    "distilled": True,
}
_PLAIN = {"act_layer": "silu", "distilled": False}
_256 = {"embed_dim": (256, 384, 512), "key_dim": 32, "num_heads": (4, 6, 8)}
_384 = {"embed_dim": (384, 512, 768), "key_dim": 32, "num_heads": (6, 9, 12)}

_ROWS: dict[str, dict[str, Any]] = {  # what follows `levit_`
    "128s": {"embed_dim": (128, 256, 384), "key_dim": 16, "num_heads": (4, 6, 8), "depth": (2, 3, 4)},
    "128": {"embed_dim": (128, 256, 384), "key_dim": 16, "num_heads": (4, 8, 12)},
    "192": {"embed_dim": (192, 288, 384), "key_dim": 32, "num_heads": (3, 5, 6)},
    "256": _256,
    "384": _384,
    "384_s8": {**_384, "act_layer": "silu", "stem_type": "s8"},
    "512_s8": {"embed_dim": (512, 640, 896), "key_dim": 64, "num_heads": (8, 10, 14), **_PLAIN, "stem_type": "s8"},
    "512": {"embed_dim": (512, 768, 1024), "key_dim": 64, "num_heads": (8, 12, 16), **_PLAIN},
    "256d": {**_256, "depth": (4, 8, 6), **_PLAIN},
    "512d": {"embed_dim": (512, 640, 768), "key_dim": 64, "num_heads": (8, 10, 12), "depth": (4, 8, 6), **_PLAIN},
}

LEVIT: dict[str, dict[str, Any]] = {
    f"levit_{kept}{name}": {**_DEFAULTS, **row, "use_conv": bool(kept)}
    for kept in ("", "conv_")
    for name, row in _ROWS.items()
}
