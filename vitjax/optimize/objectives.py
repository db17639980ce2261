"""The activations of units, directions and sums of goals, as functions of taps, and which goal has which."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from vitjax.errors import InputError
from vitjax.models.core.network import Network
from vitjax.models.core.tap_site import LastLayer
from vitjax.optimize.goals.objective import Goal, Objective, Score, Sites, Values
from vitjax.optimize.goals.penalties import TINY
from vitjax.optimize.goals.weighted import WeightedSum
from vitjax.units.algebra import Sum
from vitjax.units.select import at_tokens, flat_index, token_span
from vitjax.units.units import Cosine, CosinePower, Direction, Unit

FLOOR = 0.1  # of a cosine whose power is taken (Lucid, `_dot_cossim`)


@dataclass(frozen=True)
class UnitActivation(Objective):
    """The activation of a unit, averaged over tokens; its number is its place in the flattened index space."""

    placeless = True

    def earlier(self, sites: Sites) -> "UnitActivation":
        """The same unit before the activation function; of a gated MLP, its gate."""
        before = sites[self.tap].before
        return self if before is None else replace(self, tap=before)

    def numbers(self, goals: Sequence[Unit], sites: Sites) -> np.ndarray:
        """int32 [goal]."""
        return flat_index(goals, sites[self.tap])

    def activation(self, values: Values, numbers: Any, *, sites: Sites, tokens: str) -> Float[Array, " image"]:
        """See `Objective.activation`."""
        return at_tokens(values[self.tap], sites[self.tap], tokens)[..., numbers].mean(axis=1)

    def shortest(self, model: Network, tokens: str) -> tuple[tuple[str, ...], Score]:
        """By one column of the tap's last layer, for a layer gives all units where the loop wants one."""
        layer = model.columns(self.tap)
        if layer is None:
            return super().shortest(model, tokens)
        column = lambda unit: (layer.kernel[..., unit], layer.bias[..., unit])
        return _by_columns(layer, column, model, tokens)


@dataclass(frozen=True)
class AlongDirection(Objective):
    """The activation along a direction in the index space of a tap, averaged over tokens."""

    placeless = True

    def earlier(self, sites: Sites) -> "AlongDirection":
        """The same direction before the activation function, where there are as many units."""
        before = sites[self.tap].before
        alike = before is not None and sites[before].units == sites[self.tap].units
        return replace(self, tap=before) if alike else self

    def numbers(self, goals: Sequence[Direction], sites: Sites) -> np.ndarray:
        """float32 [goal, feature]."""
        size = math.prod(sites[self.tap].units)
        for goal in goals:
            check_vector(goal)
            if np.size(goal.vector) != size:
                raise InputError(f"{goal}: the direction has {np.size(goal.vector)} numbers, {goal.tap} has {size}")
        return np.stack([np.reshape(goal.vector, -1) for goal in goals]).astype(np.float32)

    def activation(self, values: Values, numbers: Any, *, sites: Sites, tokens: str) -> Float[Array, " image"]:
        """See `Objective.activation`."""
        return (at_tokens(values[self.tap], sites[self.tap], tokens) @ numbers).mean(axis=1)

    def shortest(self, model: Network, tokens: str) -> tuple[tuple[str, ...], Score]:
        """By one combination of columns of the tap's last layer, where that is linear."""
        layer = model.columns(self.tap)
        if layer is None or layer.activation is not None:
            return super().shortest(model, tokens)
        column = lambda vector: (layer.kernel @ vector, layer.bias @ vector)
        return _by_columns(layer, column, model, tokens)


@dataclass(frozen=True)
class CosineWithDirection(AlongDirection):
    """The length of a direction times its cosine with a tap's value, averaged over tokens."""

    def activation(self, values: Values, numbers: Any, *, sites: Sites, tokens: str) -> Float[Array, " image"]:
        """See `Objective.activation`."""
        found = at_tokens(values[self.tap], sites[self.tap], tokens)
        return (found @ numbers * jax.lax.rsqrt(jnp.sum(found * found, axis=-1) + TINY)).mean(axis=1)

    def shortest(self, model: Network, tokens: str) -> tuple[tuple[str, ...], Score]:
        """No shorter than the whole value, whose length it needs."""
        return Objective.shortest(self, model, tokens)


@dataclass(frozen=True)
class CosinePowerWithDirection(CosineWithDirection):
    """The dot product with a direction times a power of the cosine with it, 0.1 at least; averaged over tokens."""

    power: float = 2.0

    def activation(self, values: Values, numbers: Any, *, sites: Sites, tokens: str) -> Float[Array, " image"]:
        """See `Objective.activation`."""
        found = at_tokens(values[self.tap], sites[self.tap], tokens)
        along = found @ numbers
        lengths = jnp.sum(found * found, axis=-1) * jnp.sum(numbers * numbers)
        cosine = along * jax.lax.rsqrt(lengths + TINY)
        return (along * jnp.maximum(FLOOR, cosine) ** self.power).mean(axis=1)


def _of_sum(goal: Sum) -> WeightedSum:
    parts = tuple(objective_of(term.goal) for term in goal.terms)
    return WeightedSum(parts[0].tap, parts, tuple(term.after for term in goal.terms))


# The objectives of goals that are named by units and vectors alone, and of their sums.
_OBJECTIVES: dict[type, Callable[[Any], Objective]] = {
    Unit: lambda goal: UnitActivation(goal.tap),
    Direction: lambda goal: AlongDirection(goal.tap),
    Cosine: lambda goal: CosineWithDirection(goal.tap),
    CosinePower: lambda goal: (
        CosinePowerWithDirection(goal.tap, goal.power) if goal.power else AlongDirection(goal.tap)
    ),
    Sum: _of_sum,
}


def objective_of(goal: Unit | Direction | Sum | Goal) -> Objective:
    """What is computed for a goal.

    Raises:
        InputError: it is none.
    """
    if hasattr(goal, "objective"):
        return goal.objective
    kinds = (_OBJECTIVES[kind] for kind in type(goal).__mro__ if kind in _OBJECTIVES)
    if (kind := next(kinds, None)) is None:
        raise InputError(f"{goal!r} is no goal: give a unit, a direction, or what has an objective")
    return kind(goal)


def _by_columns(
    layer: LastLayer, column: Callable[[Array], tuple[Array, Array]], model: Network, tokens: str
) -> tuple[tuple[str, ...], Score]:
    """Reads the normalised tokens before a layer, and does with one of its columns what the layer does with all."""
    span = token_span(tokens, model.taps()[layer.source])

    def score(values: Values, numbers: Array) -> Float[Array, " image"]:
        columns, offset = column(numbers)
        x = layer.norm(values[layer.source][:, span])
        along = jnp.einsum("itc,cp->pit", x, columns.astype(x.dtype), preferred_element_type=jnp.float32)
        along, *up = along + offset[:, None, None]
        if layer.activation is not None:
            along = math.prod(up, start=layer.activation(along))
        return along.mean(axis=1)

    return (layer.source,), score


def check_vector(goal: Direction) -> None:
    """Raises an InputError for a vector that is none: other things than numbers, NaN, infinity, or zeros alone."""
    vector = np.asarray(goal.vector)
    if not jnp.issubdtype(vector.dtype, jnp.integer) and not jnp.issubdtype(vector.dtype, jnp.floating):
        raise InputError(f"{goal}: the direction is {vector.dtype}, it must be real numbers")
    if not np.isfinite(vector).all() or not vector.any():
        raise InputError(
            f"{goal}: the direction has {'only zeros' if not vector.any() else 'numbers that are not finite'}"
        )
