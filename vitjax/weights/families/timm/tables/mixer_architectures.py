"""timm's MLP-Mixers and ResMLPs by name, each as the arguments that set it apart; facts of timm 1.0.31.

Keys are those of timm's `MlpMixer` (`models/mlp_mixer.py`).
"""

from typing import Any

_ALL: dict[str, Any] = {"img_size": 224, "patch_size": 16, "num_classes": 1000, "global_pool": "avg"}
_SIZES = {"s": (512, 8), "b": (768, 12), "l": (1024, 24)}  # width, blocks

# mlp_ratio: hidden units of the MLPs over tokens and over channels, as shares of the width
MIXER: dict[str, dict[str, Any]] = {
    f"mixer_{size}{patch}_224": {
        **_ALL,
        "patch_size": patch,
        "embed_dim": width,
        "num_blocks": blocks,
        "mlp_ratio": (0.5, 4.0),
    }
    for size, (width, blocks) in _SIZES.items()
    for patch in (16, 32)
}

_RESMLP = {**_ALL, "embed_dim": 384, "mlp_ratio": 4.0}

RESMLP: dict[str, dict[str, Any]] = {
    "resmlp_12_224": {**_RESMLP, "num_blocks": 12},
    "resmlp_24_224": {**_RESMLP, "num_blocks": 24},
    "resmlp_36_224": {**_RESMLP, "num_blocks": 36},
    "resmlp_big_24_224": {**_RESMLP, "num_blocks": 24, "embed_dim": 768, "patch_size": 8},
}

MIXER_UNSUPPORTED: dict[str, str] = {
    **dict.fromkeys(("gmixer_12_224", "gmixer_24_224"), "an MLP-Mixer whose MLPs are gated"),
    **dict.fromkeys(("gmlp_ti16_224", "gmlp_s16_224", "gmlp_b16_224"), "a gMLP, whose gates mix tokens"),
}
