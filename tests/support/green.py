"""Small encoders with random parameters for tests of masked image modelling."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from vitjax.models.core.config import ViTConfig
from vitjax.models.core.network import Network
from vitjax.models.hierarchical.swin import SwinConfig
from vitjax.models.hierarchical.twins import TwinsConfig
from vitjax.models.registry import Config
from vitjax.models.visible import Visible
from vitjax.train.green.layout import Layout, Plan
from vitjax.weights.parameters import build, shapes

SWIN = SwinConfig(
    (32, 32), (2, 2), (8, 16), (2, 1), (1, 2), (16, 32), classes=0, windows=(4, 4)
)  # 16x16 and 8x8 tokens, 64 units of 4 pixels, of which 16 are visible

TWINS = TwinsConfig(
    (32, 32), (2, 2), (8, 16), (3, 1), (1, 2), (16, 32), classes=0, windows=(4, 4), reductions=(2, 1)
)  # 16x16 and 8x8 tokens, 64 units of 4 pixels
VIT = ViTConfig(
    image_size=(32, 32), patch_size=(4, 4), width=12, depth=2, heads=2, mlp_width=24, classes=0, registers=1
)


WINDOWS = {  # 28x28, 14x14 and 7x7 tokens with windows of 7; 56x56 and 28x28 with windows of 14
    7: SwinConfig((224, 224), (8, 8), (8, 16, 32), (2, 2, 1), (1, 2, 4), (16, 32, 64), classes=0, windows=(7, 7, 7)),
    14: SwinConfig((224, 224), (4, 4), (8, 16), (2, 2), (1, 2), (16, 32), classes=0, windows=(14, 14)),
}


@functools.cache
def encoder(config: Config) -> Network:
    """An encoder whose every parameter is random: biases of scores of variance 1, norms around 1."""
    rng, arrays = np.random.default_rng(0), {}
    for name, shape in shapes(config).items():
        values = rng.standard_normal(shape)
        if name.endswith("scale"):
            values = 1 + 0.1 * values
        elif name.endswith("kernel"):
            values = 0.3 * values
        elif not name.endswith("distances"):
            values = 0.1 * values
        arrays[name] = values.astype(np.float32)
    return build(config, arrays)


def images(config: Config, count: int = 2, seed: int = 1) -> np.ndarray:
    """Random images, normalised."""
    return np.random.default_rng(seed).standard_normal((count, *config.image_size, 3)).astype(np.float32)


def picked(plans: Plan, number: int) -> Plan:
    """A plan of a bank."""
    return jax.tree.map(lambda array: jnp.asarray(array[number], jnp.int32), plans)


def stages(layout: Layout, plans: Plan, number: int) -> list[Visible]:
    """The visible tokens of each stage by a plan of a bank."""
    parts = jax.jit(lambda plan: [(stage.places, list(stage.groups.values())) for stage in layout.of(plan)])
    of_stages = zip(layout.geometry.stages, parts(picked(plans, number)), strict=True)
    return [Visible(stage.grid, at, dict(zip(stage.cuts, groups, strict=True))) for stage, (at, groups) in of_stages]


def raised(tree, dtype: str):
    """All arrays of another dtype."""
    return jax.tree.map(lambda array: jnp.asarray(array, dtype), tree)


def seen(units: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """Which units are visible, [row, column], of their numbers."""
    found = np.zeros(grid[0] * grid[1], bool)
    found[units] = True
    return found.reshape(grid)
