"""The activation of a sum of goals: each of its terms by its own cheapest way, in one forward pass."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Array, Float

from vitjax.models.core.network import Network
from vitjax.optimize.goals.objective import Objective, Score, Sites, Values
from vitjax.units.algebra import Sum


@dataclass(frozen=True)
class WeightedSum(Objective):
    """A weighted sum of activations. Weights and the terms' numbers are data: one program for all sums of such terms.

    Attributes:
        parts: the terms' objectives, in the order of the sum.
        after: of each, whether it stays after the activation function where the others are taken before.
    """

    parts: tuple[Objective, ...] = ()
    after: tuple[bool, ...] = ()

    @property
    def placeless(self) -> bool:
        """Whether all terms mean the same of images of another size."""
        return all(part.placeless for part in self.parts)

    @property
    def still(self) -> bool:
        """Whether any term means places of the picture."""
        return any(part.still for part in self.parts)

    @property
    def taps(self) -> tuple[str, ...]:
        """The taps of all terms, each once."""
        return tuple(dict.fromkeys(tap for part in self.parts for tap in part.taps))

    def numbers(self, goals: Sequence[Sum], sites: Sites) -> Any:
        """(weights float32 [goal, term], the numbers of each term's goals)."""
        columns = zip(*(goal.terms for goal in goals), strict=True)
        found = (
            part.numbers([term.goal for term in terms], sites) for part, terms in zip(self.parts, columns, strict=True)
        )
        return np.array([[term.weight for term in goal.terms] for goal in goals], np.float32), tuple(found)

    def activation(self, values: Values, numbers: Any, *, sites: Sites, tokens: str) -> Float[Array, " image"]:
        """See `Objective.activation`."""
        ways = [partial(part.activation, sites=sites, tokens=tokens) for part in self.parts]
        return _weighted(ways, values, numbers)

    def check(self, model: Network) -> None:
        """See `Objective.check`: every term."""
        for part in self.parts:
            part.check(model)

    def earlier(self, sites: Sites) -> "WeightedSum":
        """The same with all terms before the activation function but those that stay after it."""
        parts = (part if after else part.earlier(sites) for part, after in zip(self.parts, self.after, strict=True))
        parts = tuple(parts)
        return replace(self, tap=parts[0].tap, parts=parts)

    def reported(self, optimised: Objective) -> Objective:
        """What was optimised: after the activation function the negative of a neuron that is off is nothing."""
        return optimised

    def shortest(self, model: Network, tokens: str) -> tuple[tuple[str, ...], Score]:
        """By each term's own shortest way; the forward pass ends at the deepest tap."""
        ways = [part.shortest(model, tokens) for part in self.parts]
        taps = dict.fromkeys(tap for taps, _ in ways for tap in taps)
        return tuple(taps), partial(_weighted, [way for _, way in ways])


def _weighted(ways: Sequence[Score], values: Values, numbers: Any) -> Float[Array, " image"]:
    """The weighted sum of what the ways to the terms give."""
    weights, each = numbers
    return sum(weights[i] * way(values, one) for i, (way, one) in enumerate(zip(ways, each, strict=True)))
