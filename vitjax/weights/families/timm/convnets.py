"""Convolutional networks: their configs by timm's arguments, and how timm and torchvision name their tensors.

Source of the names: timm 1.0.31, `models/{resnet,efficientnet,densenet}.py`; torchvision has the same for ResNets and
DenseNets, and others for MobileNetV2.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from vitjax.errors import InputError
from vitjax.models.convnets import mobilenet
from vitjax.models.convnets.base import ConvNetConfig
from vitjax.models.convnets.densenet import DenseNetConfig
from vitjax.models.convnets.mobilenet import MobileNetV2Config
from vitjax.models.convnets.resnet import ResNetConfig
from vitjax.weights.families.family import Shapes
from vitjax.weights.families.timm.arguments import pair, preprocess
from vitjax.weights.rules.channels import channels_of
from vitjax.weights.rules.layouts import Rule, batch_norm, conv, drop, linear
from vitjax.weights.rules.parts import Marks


@dataclass(frozen=True)
class Naming:
    """How a library names the tensors of one kind of network.

    Attributes:
        rules: the rules of all but the classifier, from the model's config.
        first: the first convolution.
        head: the classifier.
        mark: a convolution that each network of the kind has exactly once, whatever stands before its name.
    """

    rules: Callable[[Any], list[Rule]]
    first: str
    head: str
    mark: str

    def channels(self, shapes: Shapes) -> int:
        """Gives the channels of an image, from the shapes of the tensors."""
        return channels_of(shapes, f"{self.first}.weight")

    def classes(self, shapes: Shapes) -> int:
        """Counts the classes of the tensors' classifier; 0 where there is none."""
        return shapes.get(f"{self.head}.weight", (0,))[0]


Namings = Mapping[type[ConvNetConfig], Naming]


def table(config: ConvNetConfig, namings: Namings) -> list[Rule]:
    """Lists the rules for a model of this config.

    The numbers of batches that running statistics are of have no use once those are frozen.
    """
    naming = namings[type(config)]
    head = f"{naming.head}.weight", f"{naming.head}.bias"
    return [
        *naming.rules(config),
        *(linear(naming.head, "head") if config.classes else drop(*head)),
        *drop("*.num_batches_tracked"),
    ]


def marks(namings: Namings) -> Marks:
    """Lists the tensors that the networks are known by, see `vitjax.weights.rules.parts`."""
    return {f"{naming.mark}.weight": () for naming in namings.values()}


def convnet_config(args: Mapping[str, Any], shapes: Shapes) -> ConvNetConfig:
    """Reads the model's config off timm's arguments and holds it against the tensors.

    No pooling (`global_pool` empty) or no classes mean a model without a head.

    Raises:
        InputError: a pooling that there is not, or classes that the tensors contradict.
    """
    naming = BY_TIMM[kind_of(args)]
    if args["global_pool"] not in ("avg", ""):
        raise InputError(f"global_pool={args['global_pool']!r} is not supported for this model, only 'avg'")
    classes = args["num_classes"] if args["global_pool"] else 0
    found = naming.classes(shapes)
    if classes and found and classes != found:
        raise InputError(f"the config says {classes} classes, the tensors of the classifier hold {found}")
    prepared = preprocess(args, naming.channels(shapes))
    return config_from(args, image_size=pair(args["img_size"]), classes=classes, preprocess=prepared)


def config_from(args: Mapping[str, Any], **known: Any) -> ConvNetConfig:
    """Makes the config of an architecture, from its row of `CONVNETS` and the fields that all kinds have."""
    kind = kind_of(args)
    return kind(**known, **({"depths": tuple(args[DEPTHS[kind]])} if kind in DEPTHS else {}))


def kind_of(args: Mapping[str, Any]) -> type[ConvNetConfig]:
    """Finds the kind of network by the argument that gives its depths."""
    return next((kind for kind, theirs in DEPTHS.items() if theirs in args), MobileNetV2Config)


def _conv_norm(source: str, norm: str, target: str) -> list[Rule]:
    return [*conv(source, f"{target}.conv"), *batch_norm(norm, f"{target}.norm")]


def _resnet(config: ResNetConfig) -> list[Rule]:
    rules = _conv_norm("conv1", "bn1", "stem")
    for stage, depth in enumerate(config.depths):
        for i in range(depth):
            theirs, ours = f"layer{stage + 1}.{i}", f"stages.{stage}.blocks.{i}"
            for n in (1, 2, 3):
                rules += _conv_norm(f"{theirs}.conv{n}", f"{theirs}.bn{n}", f"{ours}.conv{n}")
            rules += _conv_norm(f"{theirs}.downsample.0", f"{theirs}.downsample.1", f"{ours}.shortcut")
    return rules


def _mobilenet_timm(config: MobileNetV2Config) -> list[Rule]:
    rules = [*_conv_norm("conv_stem", "bn1", "stem"), *_conv_norm("conv_head", "bn2", "features")]
    for stage, (expansion, _, depth, _) in enumerate(mobilenet.STAGES):
        parts = ("conv_dw", "conv_pw") if expansion == 1 else ("conv_pw", "conv_dw", "conv_pwl")
        for i in range(depth):
            for n, part in enumerate(parts, 1):
                theirs, ours = f"blocks.{stage}.{i}", f"stages.{stage}.blocks.{i}"
                rules += _conv_norm(f"{theirs}.{part}", f"{theirs}.bn{n}", f"{ours}.conv{n + 3 - len(parts)}")
    return rules


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
    return [*rules, *_conv_norm(f"features.{number}.0", f"features.{number}.1", "features")]


def _densenet(config: DenseNetConfig) -> list[Rule]:
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
    return rules


DEPTHS: dict[type[ConvNetConfig], str] = {ResNetConfig: "layers", DenseNetConfig: "block_config"}  # timm's arguments
BY_TIMM: dict[type[ConvNetConfig], Naming] = {
    ResNetConfig: Naming(_resnet, "conv1", "fc", mark="layer1.0.conv1"),
    MobileNetV2Config: Naming(_mobilenet_timm, "conv_stem", "classifier", mark="conv_stem"),
    DenseNetConfig: Naming(_densenet, "features.conv0", "classifier", mark="features.conv0"),
}
BY_TORCHVISION = BY_TIMM | {
    MobileNetV2Config: Naming(_mobilenet_torchvision, "features.0.0", "classifier.1", mark="features.0.0")
}
