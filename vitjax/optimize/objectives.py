"""What a picture is optimised for: an activation, as a function of taps, and the total variation that it pays.

The activations are an open set. An `Objective` says what is computed and is compiled; the numbers of a goal, such as
which unit it is, are data, so that one program serves all goals of an objective. A goal is anything with a name, a
`variant`, 32 bits `hash` and an `objective`; units and directions have theirs here.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from vitjax.errors import InputError
from vitjax.models.core.network import LastLayer, Network
from vitjax.models.core.tap_site import Site
from vitjax.units.select import at_tokens, flat_index, token_span
from vitjax.units.units import Cosine, Direction, Unit

TINY = 1e-24  # added to the square of a length that is divided by

Values = Mapping[str, Array]  # of taps, [image, *axes] each
Sites = Mapping[str, Site]
Score = Callable[[Values, Any], Float[Array, " image"]]


class Goal(Protocol):
    """What one picture is made for: a dataclass whose text is its name, different for every `variant`."""

    variant: int

    @property
    def hash(self) -> int:
        """32 bits of its name: its random numbers depend on nothing else but the seed."""

    @property
    def objective(self) -> "Objective":
        """What is computed for it."""


@dataclass(frozen=True)
class Objective:
    """An activation that pictures are optimised for, without the numbers that tell one goal's from another's.

    A kind of objective says with `numbers` and `activation` what it is; the other methods have defaults that are right
    for all. It is hashable and equal to others that compute the same.

    Attributes:
        tap: that it reads, the first one of several.
        placeless: whether it means the same of images of another size, as those of a recipe's stages are.
    """

    tap: str
    placeless: ClassVar[bool] = False

    @property
    def taps(self) -> tuple[str, ...]:
        """The taps that it reads."""
        return (self.tap,)

    def numbers(self, goals: Sequence[Any], sites: Sites) -> Any:
        """The numbers of goals, a pytree of arrays with a leading axis of goals.

        Raises:
            InputError: a goal that does not fit the sites of the taps.
        """
        raise NotImplementedError

    def activation(self, values: Values, numbers: Any, *, sites: Sites, tokens: str) -> Float[Array, " image"]:
        """The activation of one goal on each image.

        Args:
            values: of its taps.
            numbers: the goal's.
            sites: of all taps.
            tokens: that count, as in `Recipe.tokens`.
        """
        raise NotImplementedError

    def earlier(self, sites: Sites) -> "Objective":
        """The same before the activation function, where it is clear what that is; by default itself."""
        return self

    def shortest(self, model: Network, tokens: str) -> tuple[tuple[str, ...], Score]:
        """The cheapest way to it: the taps to read, and a function of their values and one goal's numbers."""
        return self.taps, partial(self.activation, sites=model.taps(), tokens=tokens)


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
        layer = model.last_layer(self.tap)
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
        layer = model.last_layer(self.tap)
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


# The objectives of goals that are named by units and vectors alone.
_OBJECTIVES: dict[type, type] = {Unit: UnitActivation, Direction: AlongDirection, Cosine: CosineWithDirection}


def objective_of(goal: Unit | Direction | Goal) -> Objective:
    """What is computed for a goal.

    Raises:
        InputError: it is none.
    """
    if hasattr(goal, "objective"):
        return goal.objective
    kinds = (_OBJECTIVES[kind] for kind in type(goal).__mro__ if kind in _OBJECTIVES)
    if (kind := next(kinds, None)) is None:
        raise InputError(f"{goal!r} is no goal: give a unit, a direction, or what has an objective")
    return kind(goal.tap)


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


def likeness(values: Float[Array, "slot view *places channel"], variants: int) -> Float[Array, " slot"]:
    """How alike the variants of a unit, `variants` slots after each other, are: each one's mean cosine with the others.

    Args:
        values: features of their views; their mean over views and places is what is compared.
        variants: at least 2.
    """
    means = values.reshape(len(values), -1, values.shape[-1]).astype(jnp.float32).mean(axis=1)
    means = means * jax.lax.rsqrt(jnp.sum(means * means, axis=1, keepdims=True) + TINY)
    means = means.reshape(-1, variants, means.shape[-1])
    cosines = jnp.einsum("gvc,gwc->gvw", means, means)
    return ((cosines.sum(axis=2) - 1) / (variants - 1)).reshape(-1)


def total_variation(images: Float[Array, "*n h w c"]) -> Float[Array, "*n c"]:
    """Sum over four directions of the L2 norm of the whole difference image, for each image and channel.

    Not squared, not circular: right, down and both diagonals; the loss has its mean over images and channels
    (Ghiasi et al., `loss/regularizers/image.py`). An image `a * x + b` has |a| times that of x.
    """
    rows, columns = images[..., 1:, :, :], images[..., :, 1:, :]
    differences = (
        columns - images[..., :, :-1, :],
        rows - images[..., :-1, :, :],
        images[..., 1:, 1:, :] - images[..., :-1, :-1, :],
        images[..., 1:, :-1, :] - images[..., :-1, 1:, :],
    )
    return sum(_norm(jnp.sum(d * d, axis=(-3, -2))) for d in differences)


def _norm(squared: jax.Array) -> jax.Array:
    """Square root whose gradient at 0 is 0, as torch has it, where JAX gives NaN."""
    positive = squared > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, squared, 1.0)), 0.0)
