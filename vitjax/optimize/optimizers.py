"""The optimizers of a picture by name, and the schedule of their learning rate."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from optax.contrib import MuonDimensionNumbers, muon

from vitjax.optimize.recipes import Recipe

_OPTIMIZERS: dict[str, Callable[[optax.Schedule, Recipe], optax.GradientTransformation]] = {
    "adam": lambda rate, recipe: optax.adam(rate, recipe.b1, recipe.b2, recipe.eps),
    "nadam": lambda rate, recipe: optax.nadam(rate, recipe.b1, recipe.b2, recipe.eps),
    "nadam-rms": lambda rate, recipe: optax.chain(
        _of_rms_1(), optax.nadam(rate, recipe.b1, recipe.b2, recipe.floor), optax.scale(1 + recipe.floor)
    ),
    "lion": lambda rate, recipe: optax.lion(rate, recipe.b1, recipe.b2, weight_decay=0),
    "sign": lambda rate, recipe: optax.sign_sgd(rate),
    "muon": lambda rate, recipe: muon(
        rate,
        beta=recipe.b1,
        consistent_rms=1.0,
        muon_weight_dimension_numbers=MuonDimensionNumbers(reduction_axis=0, output_axis=1),
    ),
}


def _of_rms_1() -> optax.GradientTransformation:
    """Divides a gradient by the root mean square of all its numbers."""

    def update(gradient: optax.Updates, _: optax.Params | None) -> optax.Updates:
        numbers = sum(leaf.size for leaf in jax.tree.leaves(gradient))
        size = optax.tree.norm(gradient) / numbers**0.5
        return optax.tree.scale(1 / jnp.where(size > 0, size, 1), gradient)

    return optax.stateless(update)


def transform(recipe: Recipe) -> optax.GradientTransformation:
    """The optimizer of one slot, under a cosine that reaches 0 at the last step."""
    schedule = optax.cosine_decay_schedule(recipe.learning_rate, max(recipe.steps - 1, 1))
    return _OPTIMIZERS[recipe.optimizer](schedule, recipe)
