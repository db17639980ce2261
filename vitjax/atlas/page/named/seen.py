"""Counts of which classes and kinds of classes units' best photographs are, for the search, units and maps."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse, special

from vitjax.atlas.page.named.kinds import Kind, kinds

SHARE = 1 / 3  # of a unit's photographs, of a kind that is named for it
NAMED = 2  # kinds that are named for a unit
SURPRISE = 1e-3  # highest probability of as many photographs by chance


@dataclass(frozen=True, eq=False)
class Seen:
    """What units' best photographs are of.

    Attributes:
        counts: of each unit, how many of its photographs are of which class; {} of those that hardly respond.
    """

    counts: Sequence[Mapping[str, int]]

    @cached_property
    def classes(self) -> list[str]:
        """Every class that some unit has, sorted."""
        return sorted({name for one in self.counts for name in one})

    @cached_property
    def kinds(self) -> list[Kind]:
        """What the classes are kinds of."""
        return kinds(self.classes)

    @cached_property
    def by_class(self) -> sparse.csr_array:
        """Photographs [unit, class]."""
        places = {name: place for place, name in enumerate(self.classes)}
        rows = [(unit, places[name], count) for unit, one in enumerate(self.counts) for name, count in one.items()]
        unit, column, count = zip(*rows, strict=True) if rows else ((), (), ())
        shape = len(self.counts), len(self.classes)
        return sparse.csr_array((np.array(count, np.int32), (unit, column)), shape=shape)

    @cached_property
    def by_kind(self) -> sparse.csr_array:
        """Photographs [unit, kind]."""
        rows = [(place, column) for column, kind in enumerate(self.kinds) for place in kind.of]
        place, column = zip(*rows, strict=True) if rows else ((), ())
        shape = len(self.classes), len(self.kinds)
        return self.by_class @ sparse.csr_array((np.ones(len(rows), np.int32), (place, column)), shape=shape)

    def index(self) -> dict[str, object]:
        """Says who responds to what, for data/classes.js."""
        columns = self.by_class.tocsc()
        bounds = zip(columns.indptr[:-1], columns.indptr[1:], strict=True)
        return {
            "photographs": max((sum(one.values()) for one in self.counts), default=0),
            "classes": self.classes,
            "units": [np.stack([columns.indices[a:b], columns.data[a:b]], axis=1).ravel() for a, b in bounds],
            "kinds": [{"name": kind.name, "also": kind.also, "of": kind.of} for kind in self.kinds],
        }

    def kinds_of(self, unit: int) -> list[tuple[str, int]]:
        """Names the kinds that are most surprisingly many of a unit's photographs, with how many, if any are.

        No two of them have a class in common; one whose photographs are all of one class is left out.
        """
        row, total = self.by_kind[[unit]], sum(self.counts[unit].values())
        if not row.nnz:
            return []
        most = max(self.counts[unit].values())
        several = [(kind, int(n)) for kind, n in zip(row.indices, row.data, strict=True) if n > most]
        several = [(kind, n) for kind, n in several if n >= max(2, math.ceil(SHARE * total))]
        chance = lambda kind, n: float(special.bdtrc(n - 1, total, len(self.kinds[kind].of) / len(self.classes)))
        chosen: list[tuple[str, int]] = []
        taken: set[int] = set()
        for probability, kind, n in sorted((chance(*one), *one) for one in several):
            if probability < SURPRISE and len(chosen) < NAMED and taken.isdisjoint(self.kinds[kind].of):
                chosen.append((self.kinds[kind].name, n))
                taken |= {*self.kinds[kind].of}
        return chosen
