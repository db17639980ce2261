"""Groups goals into batches, each of which one program optimises together."""

from collections.abc import Sequence
from dataclasses import dataclass

from vitjax.optimize.objectives import Goal, Objective, objective_of
from vitjax.ranges import Range

SLOTS = Range(1, 2**16, whole=True)  # of a batch


@dataclass(frozen=True)
class Batch:
    """Goals of one objective that are optimised together, in `slots` slots; those left over repeat the last goal."""

    number: int
    goals: tuple[Goal, ...]
    slots: int

    @property
    def tap(self) -> str:
        """The tap of all goals."""
        return objective_of(self.goals[0]).tap


def batches_of(goals: Sequence[Goal], slots: int) -> list[Batch]:
    """Groups goals by objective, in the order in which these first occur, and cuts each group into `slots` and fewer.

    Raises:
        InputError: a number of slots outside of `SLOTS`.
    """
    SLOTS.check("batch", slots)
    groups: dict[Objective, list[Goal]] = {}
    for goal in goals:
        groups.setdefault(objective_of(goal), []).append(goal)
    cut = [tuple(group[i : i + slots]) for group in groups.values() for i in range(0, len(group), slots)]
    return [Batch(number, part, slots) for number, part in enumerate(cut)]
