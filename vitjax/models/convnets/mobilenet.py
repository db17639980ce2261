"""MobileNetV2, with taps. Sandler et al. 2018 (arXiv 1801.04381), at the paper's own width."""

from dataclasses import dataclass

import jax
from flax import nnx

from vitjax.models.convnets.base import MAP, ConvNet, ConvNetConfig, ConvNorm, ConvStage, activated
from vitjax.models.core.execution import PLAIN, Execution
from vitjax.models.core.taps import Taps

STAGES = (  # expansion, channels, blocks, stride of the first (table 2)
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
STEM, FEATURES = 32, 1280


@dataclass(frozen=True)
class MobileNetV2Config(ConvNetConfig):
    """A MobileNetV2 of width 1."""


class InvertedResidual(nnx.Module):
    """Convolutions that widen (`conv1`, not in the first block), look around (`conv2`) and narrow (`branch`)."""

    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int, eps: float, rngs: nnx.Rngs):
        width = expansion * inputs
        if expansion > 1:
            self.conv1 = ConvNorm(inputs, width, 1, eps, rngs)
        self.conv2 = ConvNorm(width, width, 3, eps, rngs, stride, groups=width)
        self.conv3 = ConvNorm(width, outputs, 1, eps, rngs)
        self.expands, self.adds = expansion > 1, stride == 1 and inputs == outputs

    def __call__(self, x: jax.Array, taps: Taps, execution: Execution = PLAIN) -> jax.Array:
        branch = x
        if self.expands:
            branch = activated(taps, "conv1.pre", "conv1.out", jax.nn.relu6, self.conv1(branch))
        branch = activated(taps, "conv2.pre", "conv2.out", jax.nn.relu6, self.conv2(branch))
        branch = taps("branch", self.conv3(branch), MAP)
        return taps("out", taps("pre", x + branch if self.adds else branch, MAP), MAP, before="pre")


class MobileNetV2(ConvNet):
    """A MobileNetV2 whose every activation can be read and edited by name; `features` is what is averaged."""

    activation = staticmethod(jax.nn.relu6)

    def __init__(self, config: MobileNetV2Config, rngs: nnx.Rngs):
        eps, inputs, stages = config.norm_eps, STEM, []
        self.stem = ConvNorm(config.channels, STEM, 3, eps, rngs, stride=2)
        for expansion, outputs, depth, stride in STAGES:
            blocks = []
            for i in range(depth):
                blocks.append(InvertedResidual(inputs, outputs, expansion, 1 if i else stride, eps, rngs))
                inputs = outputs
            stages.append(ConvStage(blocks))
        self.stages = nnx.List(stages)
        self.features = ConvNorm(inputs, FEATURES, 1, eps, rngs)
        if config.classes:
            self.head = nnx.Linear(FEATURES, config.classes, rngs=rngs)
        self.config = config

    def _features(self, x: jax.Array, taps: Taps) -> jax.Array:
        return activated(taps, "features.pre", "features", jax.nn.relu6, self.features(x))
