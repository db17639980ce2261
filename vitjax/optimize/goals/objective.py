"""What an activation is that pictures are optimised for, and the goals that have one.

The activations are an open set. An `Objective` says what is computed and is compiled; the numbers of a goal, such as
which unit it is, are data, so that one program serves all goals of an objective. A goal is anything with a name, a
`variant`, 32 bits `hash` and an `objective`; those of units, directions and sums are in `vitjax.optimize.objectives`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Protocol

from jaxtyping import Array, Float

from vitjax.models.core.network import Network
from vitjax.models.core.tap_site import Site

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
        still: whether it means places of the picture, which then is not rolled: recipes do without their jitter, and
            keep their noise and changes of colour.
    """

    tap: str
    placeless: ClassVar[bool] = False
    still: ClassVar[bool] = False

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

    def check(self, model: Network) -> None:
        """Raises an InputError where a model cannot compute it; that it has the taps is known."""

    def earlier(self, sites: Sites) -> "Objective":
        """The same before the activation function, where it is clear what that is; by default itself."""
        return self

    def reported(self, optimised: "Objective") -> "Objective":
        """What is told of a finished picture, given what was optimised, itself or `earlier`; by default itself."""
        return self

    def shortest(self, model: Network, tokens: str) -> tuple[tuple[str, ...], Score]:
        """The cheapest way to it: the taps to read, and a function of their values and one goal's numbers."""
        return self.taps, partial(self.activation, sites=model.taps(), tokens=tokens)
