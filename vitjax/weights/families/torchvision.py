"""Tensors of a convolutional network as torchvision publishes them in, config and the model's arrays out.

Such a file has no config: its name, NAME-HASH.pth or NAME.pth, says which architecture it is, the classifier's tensor
how many classes there are. Preprocessing is torchvision's: the shorter side to 256 pixels (232 for the second round of
weights, known by its hash), then 224 from the centre. Source of the facts: torchvision 0.28, `models/`.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from vitjax.models.convnets.base import IMAGENET, ConvNetConfig
from vitjax.models.core.preprocess import share
from vitjax.weights.families.timm import convnets
from vitjax.weights.families.timm.convnet_architectures import CONVNETS, TORCHVISION
from vitjax.weights.formats.tensors import shapes_of
from vitjax.weights.rules.layouts import Shape
from vitjax.weights.rules.resize import Resampling

KEY = "torchvision"  # the one setting of its files: their name
SECOND = ("11ad3fa6", "f82ba261", "7ebf99e0")  # IMAGENET1K_V2 of ResNet-50, ResNet-152, MobileNetV2


def knows(name: str) -> bool:
    """Whether a file's name, without its ending, is one of torchvision's architectures with or without a hash."""
    return name.partition("-")[0] in TORCHVISION


def port(tensors: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> tuple[ConvNetConfig, dict[str, np.ndarray]]:
    """Turns a checkpoint of torchvision into what `vitjax.weights.rules.convert.build` takes.

    Raises:
        InputError: tensors that are missing, unknown or of the wrong shape, by name.
    """
    found = config(settings, shapes_of(tensors))
    return found, convnets.port(tensors, found)


def config(settings: Mapping[str, Any], tensor_shapes: Mapping[str, Shape]) -> ConvNetConfig:
    """The config of a file, from its name and the shape of its classifier."""
    hashed = settings[KEY].partition("-")[2]
    preprocess = replace(IMAGENET, crop=share((224, 224), (232 if hashed in SECOND else 256,) * 2))
    classes = convnets.classes_of(tensor_shapes)
    return convnets.config_from(CONVNETS[TORCHVISION[architecture(settings)]], classes=classes, preprocess=preprocess)


def resampling(settings: Mapping[str, Any]) -> Resampling:
    """Nothing in a convolutional network depends on the image size."""
    return Resampling()


def architecture(settings: Mapping[str, Any]) -> str:
    """The architecture's name in torchvision."""
    return settings[KEY].partition("-")[0]
