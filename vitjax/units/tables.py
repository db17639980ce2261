"""Goals that are shown in rows and columns: from one unit to another, of pairs of units, of both signs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from vitjax.errors import InputError
from vitjax.ranges import Range
from vitjax.units.algebra import combined
from vitjax.units.units import caption

LENGTH = Range(2, 100, whole=True)  # of a row between two goals


@dataclass(frozen=True)
class Table:
    """Goals in rows and columns, with a label for each of these.

    Attributes:
        cells: row by row; None where there is nothing.
        rows, columns: their labels.
    """

    cells: tuple[tuple[Any | None, ...], ...]
    rows: tuple[str, ...]
    columns: tuple[str, ...]

    @property
    def goals(self) -> list[Any]:
        """All goals, row by row, each once."""
        return list({str(goal): goal for row in self.cells for goal in row if goal is not None}.values())

    def mapped(self, new: Mapping[str, Any]) -> "Table":
        """The same table of other goals, given by the names of these."""
        cells = tuple(tuple(goal if goal is None else new[str(goal)] for goal in row) for row in self.cells)
        return replace(self, cells=cells)


def interpolation(first: Sequence[Any], last: Sequence[Any], count: int = 5, *, whole: bool = False) -> Table:
    """Rows from goals to others, `(1 - w) * first + w * last` with w from 0 to 1 in even steps.

    Args:
        first: where the rows begin; one or as many as `last`.
        last: where they end, likewise.
        count: goals of a row.
        whole: whether the ends are sums too, with a weight of 0, as a row has to be that shares its steps; else they
            are `first` and `last` themselves.

    Raises:
        InputError: of both several and not as many.
    """
    LENGTH.check("the pictures of a row", count)
    number = max(len(first), len(last))
    if {len(first), len(last)} - {1, number}:
        raise InputError(f"rows lead from {len(first)} units to {len(last)}: name as many, or one")
    weights = [step / (count - 1) for step in range(count)]
    pairs = [(first[i % len(first)], last[i % len(last)]) for i in range(number)]
    if same := [str(a) for a, b in pairs if str(a) == str(b)]:
        raise InputError(f"a row leads from {same[0]} to itself: name another unit")
    return Table(
        tuple(tuple(_between(a, b, w, whole) for w in weights) for a, b in pairs),
        tuple(f"{caption(a)} to {caption(b)}" for a, b in pairs),
        tuple(f"{w:.3g}" for w in weights),
    )


def interactions(down: Sequence[Any], across: Sequence[Any]) -> Table:
    """Sums of every goal of one list with every one of another; before each row and column the goal alone."""
    first = (None, *across)
    return Table(
        (first, *((a, *(a + b for b in across)) for a in down)),
        ("alone", *map(caption, down)),
        ("alone", *map(caption, across)),
    )


def signs(goals: Sequence[Any]) -> Table:
    """Every goal beside its negative."""
    return Table(tuple((-goal, goal) for goal in goals), tuple(map(caption, goals)), ("negative", "positive"))


def _between(first: Any, last: Any, weight: float, whole: bool) -> Any:
    if not whole and weight in (0, 1):
        return last if weight else first
    return combined((1 - weight, first), (weight, last))
