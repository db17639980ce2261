"""Runs the blocks of a model or of a stage, and decides which of them are scanned, compiled as one, or unrolled.

This is the only place that decides whether blocks are scanned or unrolled. Consecutive blocks with the same reads and
without edits are one scan, whose body is compiled once; what is read of them comes out of the scan.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

from vitjax.models.core.execution import PLAIN, Execution, saved
from vitjax.models.core.taps import Taps

Call = Callable[[nnx.Module, Any, Taps, Execution], Any]
Reads = tuple[frozenset[str], ...]  # of each block of a pattern


@dataclass(frozen=True)
class Segment:
    """Blocks of a stack in a row: a pattern, repeated.

    Attributes:
        pattern: names of the owner's attributes that hold the blocks of the pattern. Each is one module whose
            parameters carry a leading axis, a row for each time that the pattern is repeated.
        repeats: how often the pattern is repeated.
        stacked: False if an attribute is a list of unlike blocks instead, which are never scanned.
        enter: name of the owner's method, a function (activation, taps) to both, that runs before the first block:
            a class token may join here.
    """

    pattern: tuple[str, ...]
    repeats: int
    stacked: bool = True
    enter: str | None = None

    @property
    def depth(self) -> int:
        """Number of its blocks."""
        return len(self.pattern) * self.repeats


At = tuple[Segment, int | jax.Array, int]  # which block: its segment, the row of its arrays, its place in the pattern


class Run(NamedTuple):
    """Blocks of a segment that are compiled together.

    Attributes:
        segment: they are of.
        first: number of the segment's first block.
        start, stop: numbers of the first of these blocks, and of the one after the last.
        reads: what is read of each block of the pattern, if they are scanned; None if they are unrolled.
    """

    segment: Segment
    first: int
    start: int
    stop: int
    reads: Reads | None


class Stack:
    """Blocks that are numbered through, in segments of repeated patterns.

    Args:
        owner: the module whose attributes hold them.
        segments: in the order in which they run.
        call: how a block runs, a function (block, activation, taps, execution) to an activation, which may be any
            pytree; default `block(activation, taps, execution)`.
    """

    def __init__(self, owner: nnx.Module, *segments: Segment, call: Call | None = None):
        self._owner, self._segments, self._call = owner, segments, call or (lambda block, *rest: block(*rest))

    def calling(self, call: Call) -> "Stack":
        """The same blocks, run in another way."""
        return Stack(self._owner, *self._segments, call=call)

    @property
    def rows(self) -> list[tuple[str, int | None]]:
        """Where the parameters of each block are: the name of the owner's attribute, and the row of its arrays."""
        found: list[tuple[str, int | None]] = []
        for segment in self._segments:
            for row in range(segment.repeats):
                found += [(name, row) if segment.stacked else (f"{name}.{row}", None) for name in segment.pattern]
        return found

    def block(self, number: int) -> nnx.Module:
        """One block alone."""
        for segment in self._segments:
            if number < segment.depth:
                return self._block(segment, *divmod(number, len(segment.pattern)))
            number -= segment.depth
        raise IndexError(number)

    def plan(self, taps: Taps, execution: Execution = PLAIN) -> list[Run]:
        """The blocks that the reads need, in runs: those of a scan, or those that are unrolled."""
        first, end, found = 0, self._end(taps), []
        for segment in self._segments:
            found += _runs(segment, first, min(segment.depth, end - first), taps, execution)
            first += segment.depth
        return found

    def __call__(self, x: Any, taps: Taps, execution: Execution) -> Any:
        """Runs as many of the blocks as the reads need, and gives the last activation."""
        for run in self.plan(taps, execution):
            if run.start == run.first and run.segment.enter:
                x, taps = getattr(self._owner, run.segment.enter)(x, taps)
            x = (self._unrolled if run.reads is None else self._scan)(run, x, taps, execution)
        return x

    def _end(self, taps: Taps) -> int:
        """The number of blocks to run: as far as the last one read, all if anything read lies elsewhere."""
        depth = sum(segment.depth for segment in self._segments)
        unmet = taps.unmet
        here = taps.inside(unmet)
        if taps.record or len(here) < len(unmet):
            return depth
        last = 0
        for tap in here:
            word, number, *_ = *tap.split(".", 2), ""
            last = max(last, int(number) + 1 if word == "blocks" and number.isdecimal() else depth)
        return min(last, depth)

    def _unrolled(self, run: Run, x: Any, taps: Taps, execution: Execution) -> Any:
        for number in range(run.start, run.stop):
            row, place = divmod(number - run.first, len(run.segment.pattern))
            inside = taps.block(number)
            if inside.touched:
                x = self._call(self._block(run.segment, row, place), x, inside, execution)
            else:
                x = self._untouched((run.segment, row, place), x, taps.alone(number), execution, scanned=False)
        return x

    def _scan(self, run: Run, x: Any, taps: Taps, execution: Execution) -> Any:
        """Runs repeats of the pattern as one scan, and hands on what is read of each block."""
        traced: list[Taps] = []

        def step(x: Any, row: jax.Array) -> tuple[Any, list[list[jax.Array]]]:
            first = run.first + row * width
            traced[:] = [taps.alone(first + place, reads) for place, reads in enumerate(run.reads)]
            for place, inner in enumerate(traced):
                x = self._untouched((run.segment, row, place), x, inner, execution, scanned=True)
            return x, [list(inner.values.values()) for inner in traced]

        width = len(run.reads)
        rows = jnp.arange((run.start - run.first) // width, (run.stop - run.first) // width)
        x, read = lax.scan(step, x, rows)
        for number in range(run.start, run.stop):
            row, place = divmod(number - run.start, width)
            of_block = [lax.index_in_dim(value, row, keepdims=False) for value in read[place]]
            taps.block(number).take(traced[place], of_block)
        return x

    def _untouched(self, at: At, x: Any, taps: Taps, execution: Execution, *, scanned: bool) -> Any:
        """Runs a block that is not edited, of which the backward pass keeps no more than `execution` says.

        The backward pass takes the block's row of the arrays once more: it would else be kept, a copy of all weights.
        """
        segment, row, place = at
        held = getattr(self._owner, segment.pattern[place])
        kept = execution.kept(getattr(held if segment.stacked else held[row], "kept", None), scanned)
        if kept is None:
            return self._call(self._block(*at), x, taps, execution)

        def run(x: Any) -> tuple[Any, list[jax.Array]]:
            x = self._call(self._block(*at), x, taps, execution)
            return x, list(taps.values.values())

        x, values = jax.checkpoint(run, policy=saved(kept), prevent_cse=not scanned)(x)
        taps.values.update(zip(taps.values, values, strict=True))
        return x

    def _block(self, segment: Segment, row: int | jax.Array, place: int) -> nnx.Module:
        held = getattr(self._owner, segment.pattern[place])
        if not segment.stacked:
            return held[row]
        return jax.tree.map(lambda leaf: lax.dynamic_index_in_dim(leaf, row, keepdims=False), held)


def _runs(segment: Segment, first: int, count: int, taps: Taps, execution: Execution) -> Iterator[Run]:
    """Splits the first `count` blocks of a segment, whose first has the number `first`, into runs.

    Unrolled are blocks that are edited, blocks read that none beside them are like, or all that are read if it is said
    so, and those of a pattern cut short.
    """
    width, start = len(segment.pattern), first

    def reads(row: int) -> Reads | None:
        blocks = [taps.block(first + row * width + place) for place in range(width)]
        return None if any(block.edited for block in blocks) else tuple(block.inside(block.reads) for block in blocks)

    for found, rows in groupby(range(max(count, 0) // width if segment.stacked else 0), reads):
        stop = start + len(list(rows)) * width
        read = found is not None and (taps.record or any(found))
        alone = stop - start == width or (execution.unroll and not taps.record)
        apart = execution.apart(segment.depth) and not taps.record
        yield Run(segment, first, start, stop, None if (read and alone) or apart else found)
        start = stop
    if start < first + count:
        yield Run(segment, first, start, first + count, None)
