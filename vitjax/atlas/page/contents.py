"""Says what an atlas shows, whatever it comes from: units with pictures, grades, exemplars, neighbours and layouts.

Small things (one number a unit) are held here; large ones (pictures, exemplars, maps) are functions of a *unit number*,
so that an atlas of any size passes through a small memory. Units are numbered from 0 in the order of `Contents.units`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Int, UInt8

from vitjax.analysis.photographs.likeness import Neighbour
from vitjax.errors import InputError

_NAME = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)*")  # what may become a path: no separator, no "..", no dot in front
_LONGEST = 100

Value = str | int | float | bool | None


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture of a unit.

    Attributes:
        image: its pixels.
        made: how, in a few words, e.g. "seed 0".
        chosen: whether it is the one that stands for the unit; of a unit's pictures, one is.
        grades: {key of a column: value}; words as words, numbers that are not finite as None or NaN.
    """

    image: UInt8[np.ndarray, "height width 3"]
    made: str
    chosen: bool
    grades: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Exemplar:
    """A photograph that a unit responds to.

    Attributes:
        photo: its number, what `Contents.photo` takes.
        name: what the data set calls it: untrusted text.
        label: its class, or None where the data has none.
        score: the unit's score on it.
        patch: the patch that fired, counted row by row on the map's grid, or None where no patch did.
        map: the unit's activation at each patch on any scale, on a grid of its own or `Contents.grid`; or None.
    """

    photo: int
    name: str
    label: str | None
    score: float
    patch: int | None = None
    map: Float[np.ndarray, "rows columns"] | UInt8[np.ndarray, "rows columns"] | None = None


@dataclass(frozen=True)
class Quantile:
    """A photograph at a quantile (0 to 1) of a unit's scores; `photo` and `name` as in `Exemplar`."""

    quantile: float
    photo: int
    name: str
    score: float


@dataclass(frozen=True, eq=False)
class Histogram:
    """How many photographs have which score; the first and the last bin are open, so there is one edge fewer."""

    edges: Sequence[float]
    counts: Sequence[int]


@dataclass(frozen=True, eq=False)
class Column:
    """A value of every unit, to be shown, sorted and filtered by.

    Attributes:
        key: a short name without spaces.
        label, help: what a reader sees: a word or two, and one sentence.
        values: one a unit, in the order of unit numbers: numbers, or words out of `words`; None and NaN for none.
        digits: after the decimal point, of numbers.
        words: the words there can be, in the order they shall be listed; None for a column of numbers.
    """

    key: str
    label: str
    help: str
    values: Sequence[Value] | np.ndarray
    digits: int = 3
    words: Sequence[str] | None = None


@dataclass(frozen=True)
class Band:
    """Rows of a layout that belong together, e.g. one layer's: from `row` on, `rows` of them."""

    label: str
    row: int
    rows: int


@dataclass(frozen=True, eq=False)
class Layout:
    """Where units lie: a grid with a unit number in each cell, row by row, -1 for none.

    Attributes:
        key: `[a-z0-9_]+`, part of a file's name.
        label: what a reader sees, e.g. "by layer".
    """

    key: str
    label: str
    columns: int
    rows: int
    cells: Int[np.ndarray, " rows*columns"]
    bands: Sequence[Band] = ()


@dataclass(frozen=True)
class Tap:
    """The units of one tap: `count` of them from unit number `first` on."""

    tap: str
    first: int
    count: int


@dataclass(frozen=True, eq=False)
class Contents:
    """What an atlas shows. The functions are called from several threads, each roughly in the order of its argument.

    Attributes:
        title: one line.
        model: source, architecture, sha256, licence, revision: what is known of them.
        recipe: {"name": …, "fields": {…}}.
        seeds: of the pictures.
        image_size: (height, width) of the pictures, pixels.
        grid: (rows, columns) of patches, of maps that stand on no other.
        versions: {package: version}.
        data: {"source": …, "images": …}, or None without photographs.
        manifest: how it was made: anything that JSON can say.
        units: `TAP:INDEX` in unit-number order, a tap's units side by side.
        columns: values of every unit.
        classes: of each unit, the classes of its best photographs, most frequent first; () without photographs.
        duplicate: of each unit, the number of the unit that it nearly repeats, or None; () where nobody looked.
        layouts: the first is shown first.
        pictures: unit number -> its pictures, of which the chosen one is shown first; called once a unit.
        exemplars: unit number -> its best photographs, best first.
        quantiles: unit number -> photographs from all over its scores.
        histogram: unit number -> the histogram of its scores, or None.
        near: unit number -> {"looks": …, "responses": …}: the units most like it, most alike first.
        photo: photo number -> the photograph as the model saw it, encoded as WebP; asked for those that are shown.
        photos: how many photographs there are.
        tables: {name: table}, written as NAME.parquet; names are of the characters a-z, 0-9 and _.
        beside: {"name", "path"} of other atlases of the same site.
    """

    title: str
    model: Mapping[str, Value]
    recipe: Mapping[str, object]
    seeds: Sequence[int]
    image_size: tuple[int, int]
    grid: tuple[int, int]
    versions: Mapping[str, str]
    data: Mapping[str, Value] | None
    manifest: Mapping[str, object]
    units: Sequence[str]
    columns: Sequence[Column]
    layouts: Sequence[Layout]
    pictures: Callable[[int], Sequence[Picture]]
    classes: Sequence[Sequence[str]] = ()
    duplicate: Sequence[int | None] = ()
    exemplars: Callable[[int], Sequence[Exemplar]] = lambda n: ()
    quantiles: Callable[[int], Sequence[Quantile]] = lambda n: ()
    histogram: Callable[[int], Histogram | None] = lambda n: None
    near: Callable[[int], Mapping[str, Sequence[Neighbour]]] = lambda n: {}
    photo: Callable[[int], bytes] | None = None
    photos: int = 0
    tables: Mapping[str, pa.Table] = field(default_factory=dict)
    beside: Sequence[Mapping[str, str]] = ()

    @cached_property
    def taps(self) -> list[Tap]:
        """The taps of the units, in order."""
        return taps_of(self.units)


def taps_of(units: Sequence[str]) -> list[Tap]:
    """Lists the taps of units, in order: a run of units of one tap is one."""
    found: list[Tap] = []
    for number, unit in enumerate(units):
        tap = unit.rpartition(":")[0]
        if found and found[-1].tap == tap:
            found[-1] = Tap(tap, found[-1].first, found[-1].count + 1)
        else:
            found.append(Tap(tap, number, 1))
    return found


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
