"""Sums of goals: `a + b`, `a - 0.5 * b`, `-a` of units, directions and whatever else a picture can be made for.

A sum is written in one way, however it came about, so that `a + b` and `b + a` are one goal with one picture. Its name
is an expression that `vitjax.units.expression` reads again.
"""

import math
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, NamedTuple

from vitjax.errors import InputError


class Algebra:
    """What can be added, subtracted, negated and multiplied by numbers: a goal of pictures, and a term of others."""

    __slots__ = ()
    __array_ufunc__ = None  # a number of NumPy's leaves the product to the goal

    def __add__(self, other: Any) -> Any:
        """Both together; 0 adds nothing, so that `sum(goals)` works."""
        return self if _is_zero(other) else combined((1, self), (1, other)) if is_goal(other) else NotImplemented

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        """One without the other."""
        return self if _is_zero(other) else combined((1, self), (-1, other)) if is_goal(other) else NotImplemented

    def __rsub__(self, other: Any) -> Any:
        return -self if _is_zero(other) else combined((1, other), (-1, self)) if is_goal(other) else NotImplemented

    def __neg__(self) -> Any:
        """The negative: its picture has as little as can be of what this one's has much of."""
        return combined((-1, self))

    def __mul__(self, factor: float) -> Any:
        """So many times as much of it."""
        return NotImplemented if is_goal(factor) else combined((_number(factor, self), self))

    __rmul__ = __mul__

    def __truediv__(self, divisor: float) -> Any:
        """A part of it."""
        if is_goal(divisor):
            return NotImplemented
        if _is_zero(divisor):
            raise InputError(f"{self} cannot be divided by 0")
        return combined((1 / _number(divisor, self), self))


class Term(NamedTuple):
    """A goal in a sum.

    Attributes:
        weight: that its activation is multiplied by.
        goal: any but a sum, its variant 0.
        after: whether it is read after the activation function whatever the recipe says.
    """

    weight: float
    goal: Any
    after: bool = False

    def __str__(self) -> str:
        """The term without its weight."""
        return f"after({self.goal})" if self.after else str(self.goal)


@dataclass(frozen=True)
class Sum(Algebra):
    """A weighted sum of goals, whose taps may be several; made by `combined`, which brings the terms in order.

    `variant` is as a unit's.
    """

    terms: tuple[Term, ...]
    variant: int = 0

    def __str__(self) -> str:
        order = sorted(self.terms, key=lambda term: term.weight < 0)
        text = " ".join(_written(term, first=not i) for i, term in enumerate(order))
        return f"({text})#{self.variant}" if self.variant else text

    @property
    def tap(self) -> str:
        """The taps of its terms, as those are grouped that a sample is drawn from evenly."""
        return " + ".join(dict.fromkeys(getattr(term.goal, "tap", "") for term in self.terms))

    @property
    def hash(self) -> int:
        """32 bits of the sum's name."""
        return zlib.crc32(str(self).encode())


def combined(*weighted: tuple[float, Any]) -> Any:
    """The weighted sum of goals, written in the one way: sums within are resolved, equal terms are one, all are sorted.

    What is one goal once, is that goal and no sum. A weight of 0 stays, and so does its term.

    Raises:
        InputError: different goals of one name, or variants that differ: a sum has one.
    """
    found: dict[str, Term] = {}
    variants = {goal.variant for _, goal in weighted}
    if len(variants) > 1:
        names = ", ".join(str(goal) for _, goal in weighted)
        raise InputError(f"{names}: a sum has one variant, give it to all terms or to none")
    for term in (term for weight, goal in weighted for term in _terms(weight, goal)):
        same = found.get(str(term))
        if same and not (same.goal is term.goal or same.goal == term.goal):
            raise InputError(f"two goals are called {term.goal}: give them different names")
        found[str(term)] = term._replace(weight=term.weight + same.weight) if same else term
    if wrong := [str(term) for term in found.values() if not math.isfinite(term.weight)]:
        raise InputError(f"the weight of {wrong[0]} is not finite")
    (variant,), terms = variants, tuple(sorted(found.values(), key=_place))
    if len(terms) == 1 and terms[0].weight == 1 and not terms[0].after:
        return varied(terms[0].goal, variant)
    return Sum(terms, variant)


def after(goal: Any) -> Sum:
    """The same goal read after the activation function, where a recipe would take it before."""
    return Sum(tuple(term._replace(after=True) for term in _terms(1, goal)), goal.variant)


def total(goals: Iterable[Any]) -> Any:
    """The sum of some goals, one at least."""
    return combined(*((1, goal) for goal in goals))


def is_goal(value: Any) -> bool:
    """Whether a picture can be made for it."""
    return isinstance(value, Algebra) or hasattr(value, "objective")


def terms_of(goal: Any) -> tuple[Term, ...]:
    """The terms of a sum; any other goal is one."""
    return _terms(1, goal)


def varied(goal: Any, variant: int) -> Any:
    """A goal with another variant."""
    return goal if goal.variant == variant else replace(goal, variant=variant)


def _terms(weight: float, goal: Any) -> tuple[Term, ...]:
    if isinstance(goal, Sum):
        return tuple(term._replace(weight=weight * term.weight) for term in goal.terms)
    return (Term(float(weight), varied(goal, 0)),)


def _place(term: Term) -> tuple[str, str, bool, str]:
    """Where a term stands in its sum: by tap and kind first, that sums of alike goals have their terms in one order."""
    return getattr(term.goal, "tap", ""), type(term.goal).__name__, term.after, str(term)


def _written(term: Term, *, first: bool) -> str:
    """A term with its sign and weight as it stands in a sum."""
    size = abs(term.weight)
    sign = ("-" if term.weight < 0 else "") if first else ("- " if term.weight < 0 else "+ ")
    return f"{sign}{'' if size == 1 else f'{float(size)!r} * '.replace('.0 ', ' ')}{term}"


def _number(value: Any, goal: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise InputError(f"{goal} is multiplied by numbers, not by {value!r}")
    return float(value)


def _is_zero(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and value == 0
