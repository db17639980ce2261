"""DenseNet-121, with taps. Huang et al. 2017 (arXiv 1608.06993), the form with bottlenecks."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx

from vitjax.models.convnets.base import MAP, ConvNet, ConvNetConfig, ConvNorm, ConvStage, activated, conv, pool_stem
from vitjax.models.core.execution import PLAIN, Execution
from vitjax.models.core.taps import Taps
from vitjax.models.parts.norm import FrozenBatchNorm

STEM, GROWTH, BOTTLENECK = 64, 32, 4


@dataclass(frozen=True)
class DenseNetConfig(ConvNetConfig):
    """A DenseNet of growth 32; `depths` are the numbers of blocks in its stages."""

    depths: tuple[int, ...] = (6, 12, 24, 16)


class DenseLayer(nnx.Module):
    """A few new channels, `out`, from all that there are, which they join."""

    def __init__(self, inputs: int, eps: float, rngs: nnx.Rngs):
        self.norm = FrozenBatchNorm(inputs, eps)
        self.conv1 = ConvNorm(inputs, BOTTLENECK * GROWTH, 1, eps, rngs)
        self.conv2 = conv(BOTTLENECK * GROWTH, GROWTH, 3, rngs)

    def __call__(self, x: jax.Array, taps: Taps, execution: Execution = PLAIN) -> jax.Array:
        hidden = activated(taps, "conv1.pre", "conv1.out", jax.nn.relu, self.conv1(jax.nn.relu(self.norm(x))))
        return jnp.concatenate([x, taps("out", taps("pre", self.conv2(hidden), MAP), MAP, before="pre")], axis=-1)


class Transition(nnx.Module):
    """Half the channels at half the resolution."""

    def __init__(self, inputs: int, eps: float, rngs: nnx.Rngs):
        self.norm, self.conv = FrozenBatchNorm(inputs, eps), conv(inputs, inputs // 2, 1, rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return nnx.avg_pool(self.conv(jax.nn.relu(self.norm(x))), (2, 2), strides=(2, 2))


class DenseNet(ConvNet):
    """A DenseNet whose every activation can be read and edited by name.

    `stages.I.dense` are all channels of a stage, the new ones of its blocks last; `features` is what is averaged.
    """

    layers = "stages.*.dense"

    def __init__(self, config: DenseNetConfig, rngs: nnx.Rngs):
        eps, inputs, stages = config.norm_eps, STEM, []
        self.stem = ConvNorm(config.channels, STEM, 7, eps, rngs, stride=2)
        for depth in config.depths:
            transition = Transition(inputs, eps, rngs) if stages else pool_stem
            inputs = inputs // 2 if stages else inputs
            blocks = [DenseLayer(inputs + i * GROWTH, eps, rngs) for i in range(depth)]
            stages.append(ConvStage(blocks, transition, whole="dense"))
            inputs += depth * GROWTH
        self.stages = nnx.List(stages)
        self.norm = FrozenBatchNorm(inputs, eps)
        if config.classes:
            self.head = nnx.Linear(inputs, config.classes, rngs=rngs)
        self.config = config

    def _features(self, x: jax.Array, taps: Taps) -> jax.Array:
        return activated(taps, "features.pre", "features", jax.nn.relu, self.norm(x))
