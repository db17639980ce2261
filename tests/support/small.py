"""Small random models that many tests share."""

import functools

import jax
import numpy as np

from vitjax.models.convnets.base import ConvNet, ConvNetConfig
from vitjax.models.core.config import ViTConfig
from vitjax.models.core.network import Network
from vitjax.models.registry import random
from vitjax.models.vit import ViT
from vitjax.optimize import loop
from vitjax.optimize.objectives import UnitActivation
from vitjax.optimize.recipes import Recipe
from vitjax.units.units import expand
from vitjax.weights.parameters import build, shapes

CONFIG = ViTConfig(
    image_size=(32, 32), patch_size=(8, 8), width=48, depth=4, heads=3, mlp_width=96, classes=10, registers=2
)


@functools.cache
def model() -> ViT:
    """A random ViT of 4 blocks at 32 pixels, with a class token and 2 registers."""
    return random(CONFIG)


@functools.partial(jax.jit, static_argnames="reads")
def read(network: Network, images: jax.Array, *, reads: str | tuple[str, ...]) -> dict[str, jax.Array]:
    """What a network computes at the taps: compiled once for all images of a shape, where each operation would be."""
    return network(images, reads)


def aims(units: str, seed: int = 0) -> loop.Targets:
    """The loop's targets for units of one tap of `model()`."""
    goals = expand(units, model().taps())
    return loop.aims(goals, model().taps(), seed)


def optimised(units: str, recipe: Recipe, seed: int = 0, chunk: int = 100) -> tuple[loop.Slots, np.ndarray]:
    """The final slots and images (uint8) of `units` on `model()`."""
    aim = aims(units, seed)
    program = loop.program(recipe, UnitActivation(units.partition(":")[0]), chunk)
    slots = loop.start(model(), aim, recipe=program.recipe)
    for _ in range(program.calls):
        slots, _ = loop.advance(model(), slots, aim, program=program)
    return slots, np.asarray(loop.finish(model(), slots, aim, program=program)[0])


def convnet(config: ConvNetConfig) -> ConvNet:
    """A convolutional network with random values, running statistics too, without compiling an initialisation."""
    rng = np.random.default_rng(0)
    arrays = {name: rng.standard_normal(shape, np.float32) for name, shape in shapes(config).items()}
    for name, array in arrays.items():
        if name.endswith("kernel"):
            array *= np.sqrt(2 / np.prod(array.shape[:-1]))
        elif name.endswith(("scale", "variance")):
            array[:] = np.exp(0.3 * array)
        else:
            array *= 0.2
    return build(config, arrays)
