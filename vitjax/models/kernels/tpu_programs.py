"""How the heads and queries of an image are dealt out to the programs of a TPU kernel, whose code is unrolled."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import lcm

LANES, SUBLANES = 128, 8  # of a register of the vector unit
SPLITS = (LANES, 2 * LANES, 3 * LANES)  # queries of a program, of images with more than the last
REGISTERS = 1600  # of scores in a program, unless one head has more


@dataclass(frozen=True)
class Plan:
    """How the heads and queries of an image are dealt out to programs.

    Attributes:
        heads, size: heads, and channels of one.
        queries, keys: tokens.
        rows: queries of one program.
        group: channels of one program, those of whole heads.
    """

    heads: int
    size: int
    queries: int
    keys: int
    rows: int
    group: int

    @property
    def chunks(self) -> int:
        """Programs that share an image's queries."""
        return -(-self.queries // self.rows)

    @property
    def grid(self) -> tuple[int, int]:
        """Programs of an image: groups of heads, chunks of queries."""
        return self.heads * self.size // self.group, self.chunks

    def lanes(self) -> Iterator[tuple[int, int, int, int]]:
        """Of each head of a program: its first lane, the one after its last, and the same of the registers around."""
        for first in range(0, self.group, self.size):
            stop = first + self.size
            yield first, stop, first // LANES * LANES, min(-(-stop // LANES) * LANES, self.group)


def plan(heads: int, size: int, queries: int, keys: int) -> Plan:
    """Deals out as many heads to a program as its code can hold; queries are only split where there are many."""
    wasted = lambda rows: (-queries % rows, -rows)
    rows = queries if queries <= SPLITS[-1] else min(SPLITS, key=wasted)
    unit, width = lcm(size, LANES), heads * size
    if width % unit:
        return Plan(heads, size, queries, keys, rows, width)
    registers = -(-rows // SUBLANES) * -(-keys // LANES) * (unit // size)
    units = width // unit
    most = max(n for n in range(1, units + 1) if units % n == 0 and n <= max(1, REGISTERS // registers))
    return Plan(heads, size, queries, keys, rows, unit * most)
