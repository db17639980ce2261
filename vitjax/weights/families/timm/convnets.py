"""Tensors and `config.json` of a convolutional network in, its config and the model's arrays out.

Source of the names: timm 1.0.31, `models/{resnet,efficientnet,densenet}.py`; torchvision has the same for ResNets and
DenseNets, and others for MobileNetV2.
"""

from collections.abc import Callable, Container, Mapping
from typing import Any

import numpy as np

from vitjax.errors import InputError
from vitjax.models.convnets import mobilenet
from vitjax.models.convnets.base import ConvNetConfig
from vitjax.models.convnets.densenet import DenseNetConfig
from vitjax.models.convnets.mobilenet import MobileNetV2Config
from vitjax.models.convnets.resnet import ResNetConfig
from vitjax.weights.families.timm.arguments import arguments, pair, preprocess
from vitjax.weights.rules.channels import channels_of
from vitjax.weights.rules.convert import convert, shapes
from vitjax.weights.rules.layouts import Rule, Shape, batch_norm, conv, drop, linear

# The first convolution of each kind, whose inputs are the channels of an image.
FIRST = ("conv1.weight", "conv_stem.weight", "features.0.0.weight", "features.conv0.weight")


def port(tensors: Mapping[str, np.ndarray], config: ConvNetConfig) -> dict[str, np.ndarray]:
    """The arrays of a model with this config from the tensors of timm or torchvision.

    Raises:
        InputError: a tensor that does not fit, by name.
    """
    return convert(tensors, table(config, tensors), shapes(config))


def table(config: ConvNetConfig, names: Container[str]) -> list[Rule]:
    """The rule table of a config, for a source with tensors of these names.

    The numbers of batches that running statistics are of have no use once those are frozen.
    """
    return [*_RULES[type(config)](config, names), *drop("*.num_batches_tracked")]


def config_from_timm(config_json: Mapping[str, Any], tensor_shapes: Mapping[str, Shape]) -> ConvNetConfig:
    """Reads the model's config off timm's `config.json` and holds it against the tensors.

    No pooling (`global_pool` empty) or no classes mean a model without a head.

    Raises:
        InputError: an unknown argument or value, or classes that the tensors contradict.
    """
    args = arguments(config_json)
    if args["global_pool"] not in ("avg", ""):
        raise InputError(f"global_pool={args['global_pool']!r} is not supported for this model, only 'avg'")
    classes = args["num_classes"] if args["global_pool"] else 0
    found = classes_of(tensor_shapes)
    if classes and found and classes != found:
        raise InputError(f"the config says {classes} classes, the tensors of the classifier hold {found}")
    prepared = preprocess(args, channels_of(tensor_shapes, *FIRST))
    return config_from(args, image_size=pair(args["img_size"]), classes=classes, preprocess=prepared)


def config_from(args: Mapping[str, Any], **known: Any) -> ConvNetConfig:
    """The config of an architecture, from its row of `CONVNETS` and the fields that all kinds have."""
    for theirs, kind in (("layers", ResNetConfig), ("block_config", DenseNetConfig)):
        if theirs in args:
            return kind(**known, depths=tuple(args[theirs]))
    return MobileNetV2Config(**known)


def classes_of(tensor_shapes: Mapping[str, Shape]) -> int:
    """How many classes the tensors' classifier has; 0 where there is none."""
    heads = (tensor_shapes.get(name) for name in ("fc.weight", "classifier.weight", "classifier.1.weight"))
    return next((shape[0] for shape in heads if shape), 0)


def _conv_norm(source: str, norm: str, target: str) -> list[Rule]:
    return [*conv(source, f"{target}.conv"), *batch_norm(norm, f"{target}.norm")]


def _head(source: str, config: ConvNetConfig) -> list[Rule]:
    return linear(source, "head") if config.classes else drop(f"{source}.weight", f"{source}.bias")


def _resnet(config: ResNetConfig, names: Container[str]) -> list[Rule]:
    rules = [*_conv_norm("conv1", "bn1", "stem"), *_head("fc", config)]
    for stage, depth in enumerate(config.depths):
        for i in range(depth):
            theirs, ours = f"layer{stage + 1}.{i}", f"stages.{stage}.blocks.{i}"
            for n in (1, 2, 3):
                rules += _conv_norm(f"{theirs}.conv{n}", f"{theirs}.bn{n}", f"{ours}.conv{n}")
            rules += _conv_norm(f"{theirs}.downsample.0", f"{theirs}.downsample.1", f"{ours}.shortcut")
    return rules


def _mobilenet(config: MobileNetV2Config, names: Container[str]) -> list[Rule]:
    return (_mobilenet_torchvision if "features.0.0.weight" in names else _mobilenet_timm)(config)


def _mobilenet_timm(config: MobileNetV2Config) -> list[Rule]:
    rules = [*_conv_norm("conv_stem", "bn1", "stem"), *_conv_norm("conv_head", "bn2", "features")]
    for stage, (expansion, _, depth, _) in enumerate(mobilenet.STAGES):
        parts = ("conv_dw", "conv_pw") if expansion == 1 else ("conv_pw", "conv_dw", "conv_pwl")
        for i in range(depth):
            for n, part in enumerate(parts, 1):
                theirs, ours = f"blocks.{stage}.{i}", f"stages.{stage}.blocks.{i}"
                rules += _conv_norm(f"{theirs}.{part}", f"{theirs}.bn{n}", f"{ours}.conv{n + 3 - len(parts)}")
    return [*rules, *_head("classifier", config)]


def _mobilenet_torchvision(config: MobileNetV2Config) -> list[Rule]:
    rules, number = _conv_norm("features.0.0", "features.0.1", "stem"), 1
    for stage, (expansion, _, depth, _) in enumerate(mobilenet.STAGES):
        for i in range(depth):
            theirs, ours = f"features.{number}.conv", f"stages.{stage}.blocks.{i}"
            first = 2 if expansion == 1 else 1
            for place in range(3 - first):
                rules += _conv_norm(f"{theirs}.{place}.0", f"{theirs}.{place}.1", f"{ours}.conv{first + place}")
            rules += _conv_norm(f"{theirs}.{3 - first}", f"{theirs}.{4 - first}", f"{ours}.conv3")
            number += 1
    features = _conv_norm(f"features.{number}.0", f"features.{number}.1", "features")
    return [*rules, *features, *_head("classifier.1", config)]


def _densenet(config: DenseNetConfig, names: Container[str]) -> list[Rule]:
    rules = [*_conv_norm("features.conv0", "features.norm0", "stem"), *batch_norm("features.norm5", "norm")]
    for stage, depth in enumerate(config.depths):
        for i in range(depth):
            theirs = f"features.denseblock{stage + 1}.denselayer{i + 1}"
            ours = f"stages.{stage}.blocks.{i}"
            for dot in ("", "."):  # torchvision's files have norm.1 for norm1
                rules += batch_norm(f"{theirs}.norm{dot}1", f"{ours}.norm")
                rules += _conv_norm(f"{theirs}.conv{dot}1", f"{theirs}.norm{dot}2", f"{ours}.conv1")
                rules += conv(f"{theirs}.conv{dot}2", f"{ours}.conv2")
        theirs, ours = f"features.transition{stage + 1}", f"stages.{stage + 1}.transition"
        rules += [*batch_norm(f"{theirs}.norm", f"{ours}.norm"), *conv(f"{theirs}.conv", f"{ours}.conv")]
    return [*rules, *_head("classifier", config)]


# The table of a kind, from its config and the names of the tensors.
_RULES: dict[type[ConvNetConfig], Callable[[Any, Container[str]], list[Rule]]] = {
    ResNetConfig: _resnet,
    MobileNetV2Config: _mobilenet,
    DenseNetConfig: _densenet,
}
