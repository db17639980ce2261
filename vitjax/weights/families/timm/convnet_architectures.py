"""The convolutional networks of timm and torchvision by name, as arguments; facts of timm 1.0.31, torchvision 0.28.

Keys are those of timm's classes, as in `timm_architectures`.
"""

from typing import Any

_DEFAULTS: dict[str, Any] = {"img_size": 224, "num_classes": 1000, "global_pool": "avg"}

CONVNETS: dict[str, dict[str, Any]] = {
    "resnet50": {**_DEFAULTS, "layers": (3, 4, 6, 3)},
    "resnet152": {**_DEFAULTS, "layers": (3, 8, 36, 3)},
    "mobilenetv2_100": _DEFAULTS,
    "densenet121": {**_DEFAULTS, "block_config": (6, 12, 24, 16)},
}

TORCHVISION = {  # torchvision's name: timm's
    "resnet50": "resnet50",
    "resnet152": "resnet152",
    "mobilenet_v2": "mobilenetv2_100",
    "densenet121": "densenet121",
}
