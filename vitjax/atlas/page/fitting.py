"""Checks that what an atlas shows fits together, and that its names can be those of files."""

import re

import numpy as np

from vitjax.atlas.page.contents import Column, Contents, Layout
from vitjax.errors import InputError

_NAME = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)*")  # what may become a path: no separator, no "..", no dot in front
_LONGEST = 100


def check(contents: Contents) -> None:
    """Checks that names can be those of files and that the parts fit together.

    Raises:
        InputError: a unit, a layout or a table whose name no file can have.
        ValueError: parts of different lengths, a tap's units apart, a unit twice.
    """
    for unit in contents.units:
        tap, _, index = unit.rpartition(":")
        _check_name("the unit", unit, tap, index)
    for laid in contents.layouts:
        _check_name("the layout", laid.key, laid.key)
    for name in contents.tables:
        _check_name("the table", name, name)
    taps = [tap.tap for tap in contents.taps]
    count = len(contents.units)
    lengths = {f"column {column.key}": len(column.values) for column in contents.columns}
    lengths |= {"classes": len(contents.classes) or count, "duplicate": len(contents.duplicate) or count}
    lengths |= {"seen": len(contents.seen) or count, "words": len(contents.words) or count}
    wrong = [f"{name} has {length} values for {count} units" for name, length in lengths.items() if length != count]
    wrong += [f"{column.key} has words that are not listed" for column in contents.columns if _unlisted(column)]
    wrong += [f"the cells of {laid.key} are no grid" for laid in contents.layouts if not _is_grid(laid, count)]
    wrong += ["a tap's units are not side by side"] if len(set(taps)) < len(taps) else []
    wrong += ["a unit is there twice"] if len(set(contents.units)) < count else []
    wrong += ["there are no units"] if not count else []
    if wrong:
        raise ValueError("; ".join(wrong))


def _check_name(what: str, whole: str, *parts: str) -> None:
    if not all(len(part) <= _LONGEST and _NAME.fullmatch(part) for part in parts):
        shown = f"{whole[:_LONGEST]}…" if len(whole) > _LONGEST else whole
        raise InputError(f"{what} {shown!r} cannot be a file's name: a-z, 0-9, _ and dots between, {_LONGEST} at most")


def _unlisted(column: Column) -> bool:
    return column.words is not None and not {*column.values} <= {*column.words, None}


def _is_grid(laid: Layout, count: int) -> bool:
    cells = np.asarray(laid.cells)
    return len(cells) == laid.columns * laid.rows and cells.min() >= -1 and cells.max() < count
