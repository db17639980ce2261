"""ResNets of bottleneck blocks (50, 101, 152 layers), with taps.

He et al. 2016 (arXiv 1512.03385), with the stride in the 3 x 3 convolution, as torchvision and timm have it.
"""

from dataclasses import dataclass

import jax
from flax import nnx

from vitjax.models.convnets.base import MAP, ConvNet, ConvNetConfig, ConvNorm, ConvStage, activated, pool_stem
from vitjax.models.core.execution import PLAIN, Execution
from vitjax.models.core.taps import Taps

WIDTHS = (64, 128, 256, 512)  # channels inside the blocks of each stage; they give four times as many
EXPANSION = 4


@dataclass(frozen=True)
class ResNetConfig(ConvNetConfig):
    """A ResNet; `depths` are the numbers of blocks in its stages."""

    depths: tuple[int, ...] = (3, 4, 6, 3)


class Bottleneck(nnx.Module):
    """Convolutions of 1, 3 and 1 pixels whose result, `branch`, is added to the input."""

    def __init__(self, inputs: int, width: int, stride: int, eps: float, rngs: nnx.Rngs):
        outputs = EXPANSION * width
        self.conv1 = ConvNorm(inputs, width, 1, eps, rngs)
        self.conv2 = ConvNorm(width, width, 3, eps, rngs, stride)
        self.conv3 = ConvNorm(width, outputs, 1, eps, rngs)
        if inputs != outputs or stride > 1:
            self.shortcut = ConvNorm(inputs, outputs, 1, eps, rngs, stride)
        self.projects = inputs != outputs or stride > 1

    def __call__(self, x: jax.Array, taps: Taps, execution: Execution = PLAIN) -> jax.Array:
        branch = activated(taps, "conv1.pre", "conv1.out", jax.nn.relu, self.conv1(x))
        branch = activated(taps, "conv2.pre", "conv2.out", jax.nn.relu, self.conv2(branch))
        x = taps("branch", self.conv3(branch), MAP) + (self.shortcut(x) if self.projects else x)
        return activated(taps, "pre", "out", jax.nn.relu, x)


class ResNet(ConvNet):
    """A ResNet whose every activation can be read and edited by name."""

    def __init__(self, config: ResNetConfig, rngs: nnx.Rngs):
        eps, inputs, stages = config.norm_eps, WIDTHS[0], []
        self.stem = ConvNorm(config.channels, inputs, 7, eps, rngs, stride=2)
        for width, depth in zip(WIDTHS, config.depths, strict=True):
            strides = [2 if stages else 1, *[1] * (depth - 1)]
            widths = [inputs, *[EXPANSION * width] * (depth - 1)]
            blocks = [Bottleneck(*one, eps, rngs) for one in zip(widths, [width] * depth, strides, strict=True)]
            stages.append(ConvStage(blocks, None if stages else pool_stem))
            inputs = EXPANSION * width
        self.stages = nnx.List(stages)
        if config.classes:
            self.head = nnx.Linear(inputs, config.classes, rngs=rngs)
        self.config = config
