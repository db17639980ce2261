"""Draws masks and packs them, on the host: a bank of plans that one compiled program picks from."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from vitjax.errors import InputError, nearest
from vitjax.models.parts.windows import Windows
from vitjax.train.green.geometry import Geometry, StageGeometry, windows_of
from vitjax.train.green.layout import Layout, Plan, Shape, places
from vitjax.train.green.packing import PACKERS, cost, swept

GREEDY, ONE_GROUP, SWEPT = "greedy", "one-group", "swept"
PACKINGS = (*PACKERS, ONE_GROUP)
WORTHWHILE = 2  # windows: of no more tokens than so many hold, one group costs as little
SHARE = 0.99  # of masks that a shape of groups must do for; others are drawn again
SAMPLED = 64  # masks that the best size of groups is sought on


@dataclass(frozen=True)
class Packing:
    """How visible tokens are packed into groups.

    Attributes:
        kind: "best-fit", "greedy" (the paper's; as in its code, groups are no fuller than the fullest window where no
            size is said), or "one-group" (all tokens of a stage in one).
        size: places in a group; None for as many as a window has, "swept" for what costs least by the paper's count.
        stages: which stages are packed; None for those with more visible tokens than two windows hold.
    """

    kind: str = "best-fit"
    size: int | str | None = None
    stages: tuple[bool, ...] | None = None

    def __post_init__(self):
        if self.kind not in PACKINGS:
            raise InputError(f"unknown packing {self.kind!r}{nearest(self.kind, PACKINGS)}; {', '.join(PACKINGS)}")
        if self.size not in (None, SWEPT) and not (isinstance(self.size, int) and self.size > 0):
            raise InputError(f"group size is {self.size!r}, it must be a whole number of at least 1, or {SWEPT!r}")

    def packs(self, number: int, stage: StageGeometry, cut: Windows, units: int) -> bool:
        """Whether the tokens of so many units are packed at a stage."""
        if self.kind == ONE_GROUP:
            return False
        if self.stages is not None:
            return self.stages[number]
        return units * stage.side**2 > WORTHWHILE * cut.size[0] * cut.size[1]


BEST_FIT = Packing()


class Packed(NamedTuple):
    """The windows of a mask in groups: where each begins among the places of all groups, and how many groups."""

    starts: Int[np.ndarray, " window"]
    groups: int


class Packer:
    """Packs the tokens in one kind of windows of one stage.

    Args:
        geometry, stage, cut: which.
        packing: how.
        masks: that the size of a group must do for.

    Raises:
        InputError: a size that does not.
    """

    def __init__(
        self, geometry: Geometry, stage: StageGeometry, cut: Windows, packing: Packing, masks: list[np.ndarray]
    ):
        rows, columns = places(stage, np.arange(geometry.units), geometry)
        windows = windows_of(cut)
        self._brought = np.zeros((geometry.units, windows.max() + 1), np.int32)  # tokens that each unit has in each
        of_tokens = windows[rows * stage.grid[1] + columns].reshape(geometry.units, -1)
        np.add.at(self._brought, (np.arange(geometry.units)[:, None], of_tokens), 1)
        self._pack, self._tight = PACKERS[packing.kind], packing.kind == GREEDY and packing.size is None
        self.size = packing.size or cut.size[0] * cut.size[1]
        loads = [self.loads(mask)[1] for mask in masks]
        largest = max(map(max, loads))
        if self.size == SWEPT:
            self.size = self._cheapest(loads[:SAMPLED], largest, stage.width)
        if self.size < largest:
            raise InputError(f"groups of {self.size} do not hold a window of {largest} visible tokens")

    def loads(self, mask: Int[np.ndarray, " unit"]) -> tuple[list[int], list[int]]:
        """The windows that have visible tokens, and how many each."""
        loads = self._brought[mask].sum(axis=0)
        windows = np.flatnonzero(loads)
        return windows.tolist(), loads[windows].tolist()

    def __call__(self, mask: Int[np.ndarray, " unit"]) -> Packed | None:
        """Packs a mask's tokens; None where a window holds more than a group."""
        windows, loads = self.loads(mask)
        if max(loads) > self.size:
            return None
        groups = self._pack(loads, min(self.size, max(loads)) if self._tight else self.size)
        starts = np.zeros(self._brought.shape[1], np.int32)
        for number, group in enumerate(groups):
            start = number * self.size
            for place in group:
                starts[windows[place]] = start
                start += loads[place]
        return Packed(starts, len(groups))

    def _cheapest(self, loads: list[list[int]], largest: int, width: int) -> int:
        """The size that costs least over several masks, of those that cost least of one."""
        tried = {max(largest, swept(of, width, self._pack)) for of in loads}
        return min(sorted(tried), key=lambda size: sum(cost(len(self._pack(of, size)), size, width) for of in loads))


def visible_units(units: int, ratio: float) -> int:
    """How many of an image's units are visible where a share of them is masked; rounded down, as in MAE.

    Raises:
        InputError: a share that leaves none visible or none masked.
    """
    seen = int(units * (1 - ratio)) if 0 <= ratio <= 1 else 0
    if not 0 < seen < units:
        raise InputError(f"mask ratio {ratio} of {units} units leaves none visible or none to predict")
    return seen


def draw(units: int, visible: int, seed: int) -> Iterator[Int[np.ndarray, " unit"]]:
    """Draws masks without end: the visible units in the order in which they are drawn."""
    rng = np.random.default_rng(seed)
    while True:
        yield rng.permutation(units)[:visible].astype(np.int32)


def bank(geometry: Geometry, ratio: float, count: int, packing: Packing, seed: int = 0) -> tuple[Layout, Plan]:
    """Draws and packs masks; the plans have an axis for them in front, in numpy.

    Groups are as many as 99 % of masks need; others are drawn again.

    Args:
        geometry: of the encoder.
        ratio: the share of units that is masked.
        count: of masks.
        packing: of their tokens.
        seed: of the draw.

    Raises:
        InputError: a ratio or a size of groups that does not work out.
    """
    visible = visible_units(geometry.units, ratio)
    if packing.stages is not None and len(packing.stages) != len(geometry.stages):
        raise InputError(f"{len(packing.stages)} stages are said to be packed or not, there are {len(geometry.stages)}")
    masks = draw(geometry.units, visible, seed)
    first = list(islice(masks, count))
    packers = [
        [
            Packer(geometry, stage, cut, packing, first) if packing.packs(number, stage, cut, visible) else None
            for cut in stage.cuts
        ]
        for number, stage in enumerate(geometry.stages)
    ]
    of_all = [packer for row in packers for packer in row if packer]
    packed = [[packer(mask) for packer in of_all] for mask in first]
    needed = np.array([[found.groups for found in row] for row in packed]).reshape(count, -1)
    most = np.quantile(needed, SHARE, axis=0, method="inverted_cdf").astype(int).tolist()
    limits = iter(most)
    shapes = tuple(tuple(packer and Shape(next(limits), packer.size) for packer in row) for row in packers)
    kept = [(mask, row) for mask, row in zip(first, packed, strict=True) if _fits(row, most)]
    while len(kept) < count:
        mask = next(masks)
        if _fits(row := [packer(mask) for packer in of_all], most):
            kept.append((mask, row))
    starts = tuple(np.stack([row[number].starts for _, row in kept]) for number in range(len(of_all)))
    return Layout(geometry, visible, shapes), _small(Plan(np.stack([mask for mask, _ in kept]), starts))


def _fits(row: list[Packed | None], most: list[int]) -> bool:
    return all(found and found.groups <= limit for found, limit in zip(row, most, strict=True))


def _small(plan: Plan) -> Plan:
    """In 16 bits where numbers allow it: the bank is part of the compiled program."""
    least = lambda array: array.astype(np.int16 if array.max() < 2**15 else np.int32)
    return Plan(least(plan.drawn), tuple(map(least, plan.starts)))
