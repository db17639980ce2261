"""The compiled loop: many pictures at once, each optimised for its own target, chunk by chunk on the device.

Slots never touch each other: random numbers, augmentations, loss and optimizer belong to one slot, only the model sees
them as one batch. Variants of one unit's picture do, and pictures of a row: they follow each other. Targets and seeds
are arrays, so one compile serves every unit of a tap.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jaxtyping import Array, Float, Int, UInt32

from vitjax.models.core.execution import PLAIN, Execution
from vitjax.models.core.network import Network
from vitjax.models.core.surroundings import key
from vitjax.optimize.augment import Views, embed, some, views
from vitjax.optimize.beside.watch import Watched
from vitjax.optimize.goals.objective import Goal, Objective, Sites
from vitjax.optimize.goals.penalties import DIVERSITY, total_variation
from vitjax.optimize.objectives import objective_of
from vitjax.optimize.optimizers import transform
from vitjax.optimize.parametrize import Parametrization, parametrization
from vitjax.optimize.recipes import Recipe
from vitjax.units.units import Direction, Unit

_APART = 0x9E3779B9  # sets the random numbers of a recipe's stages apart, as in splitmix64


@dataclass(frozen=True)
class Program:
    """What is compiled: recipe, objective, how many steps a call takes, how the model runs. All else is data.

    The recipe has no stages: each stage is a program (`vitjax.optimize.schedule.plan`).
    """

    recipe: Recipe
    objective: Objective
    chunk: int
    execution: Execution = PLAIN

    def __post_init__(self):
        if self.recipe.stages:
            raise ValueError("a program is of one stage: plan the recipe's stages and make one of each")

    @property
    def calls(self) -> int:
        """How many calls of `advance` finish the pictures."""
        return -(-self.recipe.steps // self.chunk)

    def optimised(self, model: Network) -> Objective:
        """What is optimised: the objective, or that before the activation function, if the recipe says so."""
        return self.objective.earlier(model.taps()) if self.recipe.before_activation else self.objective


def program(recipe: Recipe, objective: Objective, chunk: int = 100, execution: Execution = PLAIN) -> Program:
    """A program whose calls all take the same number of steps, `chunk` at most, so that one compile is enough."""
    calls = -(-recipe.steps // chunk)
    return Program(recipe, objective, -(-recipe.steps // calls), execution)


class Slots(NamedTuple):
    """The pictures in the making, slot axis first: parameters, optimizer state, the number of steps done.

    `watched` is what is kept on the way, if anything is.
    """

    params: Float[Array, "slot ..."]
    optimizer: optax.OptState
    step: Int[Array, ""]
    watched: Watched | None = None


class Targets(NamedTuple):
    """What each slot is for: the numbers of its goal, and its random seeds.

    `target` is what the objective makes of the goals (`Objective.numbers`), `unit` the slot's own 32 bits
    (`Unit.hash`), `seed` the run's seed.
    """

    target: Any
    unit: UInt32[Array, " slot"]
    seed: UInt32[Array, ""]


def aims(goals: Sequence[Unit | Direction | Goal], sites: Sites, seed: int, row: int = 1) -> Targets:
    """The targets of slots for goals of one objective on a model whose taps have these sites.

    Those of a row, so many that follow each other, have the random numbers of its first.
    """
    first = [goals[i - i % row] for i in range(len(goals))]
    return Targets(
        jax.tree.map(jnp.asarray, objective_of(goals[0]).numbers(goals, sites)),
        jnp.asarray(np.array([goal.hash for goal in first], np.uint32)),
        jnp.uint32(seed),
    )


def during_stage(targets: Targets, number: int) -> Targets:
    """The targets in a stage of a recipe, counted from 0, by which it draws its own random numbers."""
    return targets._replace(unit=targets.unit + jnp.uint32(number * _APART % 2**32))


class History(NamedTuple):
    """Per step and slot, before its update: loss, mean activation of the views, their total variation."""

    loss: Float[Array, "step slot"]
    activation: Float[Array, "step slot"]
    total_variation: Float[Array, "step slot"]


def slot_keys(targets: Targets) -> tuple[jax.Array, jax.Array]:
    """The keys of each slot, for its first parameters and for its steps: they depend on seed and unit alone."""
    run = key(targets.seed)
    keys = jax.vmap(lambda unit: jax.random.split(jax.random.fold_in(run, unit)))(targets.unit)
    return keys[:, 0], keys[:, 1]


def _parametrization(model: Network, recipe: Recipe) -> Parametrization:
    return parametrization(model.config.image_size, recipe, model.config.channels)


def start(
    model: Network, targets: Targets, images: Float[Array, "slot h w color"] | None = None, *, recipe: Recipe
) -> Slots:
    """The slots before their first step: drawn at random, or written down from `images` in [0, 1].

    Compiled once for all models whose pictures have one size.
    """
    return _start(targets._replace(target=None), images, (model.config.image_size, recipe, model.config.channels))


@partial(jax.jit, static_argnums=2)
def _start(targets: Targets, images: Array | None, how: tuple[tuple[int, int], Recipe, int]) -> Slots:
    shown, recipe = parametrization(*how), how[1]
    params = jax.vmap(shown.init)(slot_keys(targets)[0]) if images is None else jax.vmap(shown.params)(images)
    optimizer = jax.vmap(transform(recipe).init)(params)
    return Slots(params, optimizer, jnp.zeros((), jnp.int32))


@partial(jax.jit, static_argnames="program", donate_argnames="slots")
def advance(model: Network, slots: Slots, targets: Targets, *, program: Program) -> tuple[Slots, History]:
    """Takes the next `program.chunk` steps; steps beyond the recipe's last leave the slots as they are."""
    step = partial(_step, model, targets, slot_keys(targets)[1], program)
    if program.chunk * program.calls == program.recipe.steps:
        return lax.scan(lambda slots, _: step(slots), slots, length=program.chunk)

    def maybe(slots, _):
        shape = jax.eval_shape(step, slots)[1]
        skip = lambda slots: (slots, jax.tree.map(lambda s: jnp.full(s.shape, jnp.nan, s.dtype), shape))
        return lax.cond(slots.step < program.recipe.steps, step, skip, slots)

    return lax.scan(maybe, slots, length=program.chunk)


def loss_of(
    model: Network, params: Array, targets: Targets, keys: jax.Array, step: Array, program: Program
) -> tuple[Array, History]:
    """The summed loss of all slots at one step, and each slot's own terms."""
    images = jax.vmap(_parametrization(model, program.recipe).image)(params)
    return _loss(model, images, targets, keys, step, program)


def _loss(
    model: Network, images: Array, targets: Targets, keys: jax.Array, step: Array, program: Program
) -> tuple[Array, History]:
    recipe = program.recipe
    keys = jax.vmap(jax.random.fold_in, (0, None))(keys, step)
    seen = jax.vmap(lambda key, image: views(key, image, step, recipe))(keys, images)
    taps, score = program.optimised(model).shortest(model, recipe.tokens)
    embedded = some(model, keys, embed(model, seen), recipe)
    values = model.from_embedding(embedded, taps, execution=program.execution)
    values = {tap: values[tap].reshape(-1, recipe.views, *values[tap].shape[1:]) for tap in taps}
    reached = jax.vmap(lambda values, target: score(values, target).mean())(values, targets.target)
    variation = jax.vmap(_variation)(seen)
    loss = recipe.total_variation * variation - recipe.scale * reached
    if recipe.variants > 1:
        alike = [DIVERSITY[recipe.diversity_of](values[tap], recipe.variants) for tap in taps]
        loss = loss + recipe.diversity * (alike[0] if len(alike) == 1 else sum(alike) / len(alike))
    return loss.sum(), History(loss, reached, variation)


def _variation(seen: Views) -> Float[Array, ""]:
    """The total variation of a picture's views, their mean over views and channels."""
    return (abs(seen.gain[:, 0, 0]) * total_variation(seen.base)).mean()


def _step(model: Network, targets: Targets, keys: jax.Array, program: Program, slots: Slots) -> tuple[Slots, History]:
    recipe, shown = program.recipe, _parametrization(model, program.recipe)
    images, back = jax.vjp(jax.vmap(shown.image), slots.params)
    slopes, history = jax.grad(_loss, argnums=1, has_aux=True)(model, images, targets, keys, slots.step, program)
    (grads,) = back(slopes)
    of_activation = lambda: _of_activation(slopes, images, keys, slots.step, recipe)
    watched = slots.watched and slots.watched.after(slots.step, images, of_activation)
    if recipe.row > 1:
        grads = jax.tree.map(partial(_shared, recipe=recipe), grads)
    updates, optimizer = jax.vmap(transform(recipe).update)(grads, slots.optimizer, slots.params)
    params = jax.vmap(shown.project)(optax.apply_updates(slots.params, updates))
    return Slots(params, optimizer, slots.step + 1, watched), history


def _of_activation(slopes: Array, images: Array, keys: jax.Array, step: Array, recipe: Recipe) -> Array:
    """The slopes of the activations by the images, given those of the loss: without what total variation adds."""
    if recipe.total_variation:
        keys = jax.vmap(jax.random.fold_in, (0, None))(keys, step)
        one = jax.grad(lambda image, key: recipe.total_variation * _variation(views(key, image, step, recipe)))
        slopes = slopes - jax.vmap(one)(images, keys)
    return slopes / (recipe.scale or 1)


def _shared(grads: Float[Array, "slot ..."], recipe: Recipe) -> Float[Array, "slot ..."]:
    """The gradients of rows, each with a part of its row's mean."""
    rows = grads.reshape(-1, recipe.row, *grads.shape[1:])
    return (rows + recipe.row_shared * rows.mean(axis=1, keepdims=True)).reshape(grads.shape)


@partial(jax.jit, static_argnames="program")
def finish(model: Network, slots: Slots, targets: Targets, *, program: Program) -> tuple[Array, Array]:
    """The finished pictures, uint8 [slot, h, w, channel], and each one's activation as the model sees the bytes.

    The activation is the unit's own, after the activation function, on the picture without augmentation; of a sum it is
    as each of its terms was read.
    """
    images = jax.vmap(_parametrization(model, program.recipe).image)(slots.params)
    rounded = jnp.round(255 * images).astype(jnp.uint8)
    objective, sites = program.objective.reported(program.optimised(model)), model.taps()
    values = model(rounded / 255.0, objective.taps)
    one = lambda values, target: objective.activation(values, target, sites=sites, tokens=program.recipe.tokens)[0]
    reached = jax.vmap(one)({tap: values[tap][:, None] for tap in objective.taps}, targets.target)
    return rounded, reached
