"""timm's PiTs by name, each as the arguments that set it apart; facts of timm 1.0.31.

Keys are those of timm's `PoolingVisionTransformer` (`models/pit.py`); a tuple has a value for each stage.
"""

from typing import Any

_PIT: dict[str, Any] = {
    "img_size": 224,
    "patch_size": 16,
    "stride": 8,
    "depth": (2, 6, 4),
    "mlp_ratio": 4.0,
    "num_classes": 1000,
    "global_pool": "token",
    "distilled": False,
}
_SIZES: dict[str, dict[str, Any]] = {
    "ti": {"base_dims": (32, 32, 32), "heads": (2, 4, 8)},
    "xs": {"base_dims": (48, 48, 48), "heads": (2, 4, 8)},
    "s": {"base_dims": (48, 48, 48), "heads": (3, 6, 12)},
    "b": {"base_dims": (64, 64, 64), "heads": (4, 8, 16), "depth": (3, 6, 4), "patch_size": 14, "stride": 7},
}

PIT: dict[str, dict[str, Any]] = {
    f"pit_{size}{'_distilled' * distilled}_224": {**_PIT, **own, "distilled": distilled}
    for distilled in (False, True)
    for size, own in _SIZES.items()
}
