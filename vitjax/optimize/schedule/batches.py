"""Groups goals into batches, each of which one program optimises together."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import jax

from vitjax.models.registry import Config
from vitjax.optimize.objectives import Goal, Objective, objective_of
from vitjax.optimize.recipes import Recipe
from vitjax.optimize.schedule.plan import plan, work_of
from vitjax.progress import Meter
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


def fewest(counts: Iterable[int], most: int) -> int:
    """Chooses slots, `most` or fewer, of which batches of groups of so many goals leave fewest empty.

    One number for all, as programs are compiled for it, and half of `most` at least where there are as many goals: a
    device would have too little to do.
    """
    counts = list(counts)
    most = min(most, max(counts))
    taken = lambda slots: sum(-(-count // slots) * slots for count in counts)
    return min(range(most, most // 2, -1), key=taken)


def meter_of(config: Config, recipe: Recipe, batches: Sequence[Batch]) -> Meter:
    """Makes the meter of painting these batches, on all local devices."""
    goals = Counter(objective_of(goal) for batch in batches for goal in batch.goals)
    return Meter(
        work=sum(count * work_of(recipe, config, objective) for objective, count in goals.items()),
        programs=sum(len(plan(recipe, config, objective)) for objective in goals),
        workers=max(1, min(jax.local_device_count(), len(batches))),
    )
