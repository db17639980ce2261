"""torchvision's files of convolutional networks.

Such a file has no config: its name, NAME-HASH.pth or NAME.pth, says which architecture it is, the classifier's tensor
how many classes there are. Preprocessing is torchvision's: the shorter side to 256 pixels (232 for the second round of
weights, known by its hash), then 224 from the centre. Source of the facts: torchvision 0.28, `models/`.
"""

from dataclasses import replace
from pathlib import Path

from vitjax.models.convnets.base import IMAGENET, ConvNetConfig
from vitjax.models.core.preprocess import share
from vitjax.weights.families.family import Family, Settings, Shapes
from vitjax.weights.families.timm import convnets
from vitjax.weights.families.timm.convnet_architectures import CONVNETS
from vitjax.weights.families.timm.convnet_architectures import TORCHVISION as NAMES
from vitjax.weights.formats.tensors import Tensors

KEY = "torchvision"  # the one setting of its files: their name
SECOND = ("11ad3fa6", "f82ba261", "7ebf99e0")  # IMAGENET1K_V2 of ResNet-50, ResNet-152, MobileNetV2


def settings_of(path: Path, tensors: Tensors) -> Settings | None:
    """Knows a file by its name, without its ending one of torchvision's architectures with or without a hash."""
    return {KEY: path.stem} if path.stem.partition("-")[0] in NAMES else None


def config(settings: Settings, shapes: Shapes) -> ConvNetConfig:
    """Reads the config off the file's name and the shape of its classifier."""
    hashed = settings[KEY].partition("-")[2]
    preprocess = replace(IMAGENET, crop=share((224, 224), (232 if hashed in SECOND else 256,) * 2))
    row = CONVNETS[NAMES[architecture(settings)]]
    naming = convnets.BY_TORCHVISION[convnets.kind_of(row)]
    return convnets.config_from(row, classes=naming.classes(shapes), preprocess=preprocess)


def architecture(settings: Settings) -> str:
    """Gives the architecture's name in torchvision."""
    return settings[KEY].partition("-")[0]


TORCHVISION = Family(
    name="torchvision",
    match=lambda settings: KEY in settings,
    config=config,
    table=lambda config, settings, shapes: convnets.table(config, convnets.BY_TORCHVISION),
    files=settings_of,
    marks=convnets.marks(convnets.BY_TORCHVISION),
    architecture=architecture,
    referee="torchvision",
)
