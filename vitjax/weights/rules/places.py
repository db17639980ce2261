"""Writes rules out, block by block: which array of a model, and which row and part of it, each tensor fills."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from vitjax.weights.rules.layouts import Layout, Part, Rule, Shape

BLOCK = re.compile(
    r"\{(\d*)i(?:\+(\d+))?\}"
)  # in the source of a rule: {i} is the number of the block, {2i+1} a layer's
# Where the parameters of each block of each stack of blocks are: {stack: [(prefix of its arrays, row of them) of block
# 0, of block 1, …]}, e.g. {"blocks": [("blocks", 0), ("blocks", 1)]}; the row is None of arrays that are one block's.
Stacks = Mapping[str, Sequence[tuple[str, int | None]]]
Cell = tuple[str, int | None, int]  # an array, a row of it if it has one for each block, a part of that


@dataclass(frozen=True)
class Place:
    """Where one tensor of a source goes: an array, or if `row` is given one block's row of it; if `part`, of that."""

    array: str
    row: int | None
    layout: Layout
    part: Part | None

    def of(self, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        """Gives a view of the place."""
        array = arrays[self.array][... if self.row is None else self.row]
        if self.part is None:
            return array
        axis, index = self.part
        index = slice(index.start, index.stop) if isinstance(index, range) else index
        return array[(*[slice(None)] * axis, index)]


@dataclass(frozen=True)
class Targets:
    """The arrays that rules fill: {dotted name: shape}, and the stacks that some of them are of."""

    shapes: Mapping[str, Shape]
    stacks: Stacks

    def written(self, rule: Rule) -> Iterator[tuple[str | None, Place]]:
        """Writes a rule out: each tensor's name in the source and its place; nothing where the model lacks the array.

        A rule for a stack is one for each of its blocks that has such an array: a pattern of unlike blocks has arrays
        of its own for each kind. Where the source names no block, its tensor fills all rows at once.
        """
        named, every = bool(BLOCK.search(rule.source or "")), rule.source is None
        if rule.target in self.shapes and not (rule.target in self._stacked and (named or every)):
            if named:
                raise ValueError(f"{rule.source} is of a block, {rule.target} of no stack of blocks")
            yield rule.source, Place(rule.target, None, rule.layout, rule.part)
            return
        stack = max((stack for stack in self.stacks if rule.target.startswith(f"{stack}.")), key=len, default=None)
        found: dict[Place, str | None] = {}
        for block, (prefix, row) in enumerate(self.stacks.get(stack, ())):
            place = Place(prefix + rule.target[len(stack) :], row if named or every else None, rule.layout, rule.part)
            found.setdefault(place, rule.source and numbered(rule.source, block))
        yield from ((name, place) for place, name in found.items() if place.array in self.shapes)

    def cells(self, places: Iterable[Place]) -> dict[Place, list[Cell]]:
        """Lists what each place covers, in the smallest pieces that any of the places fills."""
        places = list(places)
        parts = {
            place.array: self.shapes[place.array][place.part[0] + (place.array in self._stacked)]
            for place in places
            if place.part
        }

        def covered(place: Place) -> list[Cell]:
            every = place.row is None and place.array in self._stacked
            rows = range(self.shapes[place.array][0]) if every else [place.row]
            index = place.part[1] if place.part else range(parts.get(place.array, 1))
            pieces = index if isinstance(index, range) else [index]
            return [(place.array, row, piece) for row in rows for piece in pieces]

        return {place: covered(place) for place in places}

    @cached_property
    def _stacked(self) -> set[str]:
        """The arrays with a row for each of some blocks."""
        prefixes = {prefix for blocks in self.stacks.values() for prefix, row in blocks if row is not None}
        return {array for array in self.shapes if any(array.startswith(f"{prefix}.") for prefix in prefixes)}


def numbered(source: str, block: int) -> str:
    """Puts the number of a block into the source of a rule: `{i}` is that, `{2i+1}` twice that and one more."""
    return BLOCK.sub(lambda found: str(int(found[1] or 1) * block + int(found[2] or 0)), source)
