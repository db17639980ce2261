"""Says what an atlas shows, whatever it comes from: units with pictures, grades, exemplars, neighbours and layouts.

Small things (one number a unit) are held here; large ones (pictures, exemplars, maps) are functions of a *unit number*,
so that an atlas of any size passes through a small memory. Units are numbered from 0 in the order of `Contents.units`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Int, UInt8

from vitjax.analysis.photographs.likeness import Neighbour

Value = str | int | float | bool | None


def title(model: Mapping[str, Any]) -> str:
    """Names what was loaded, without its folders, and the architecture where that says more."""
    source, architecture = (str(model.get(key) or "") for key in ("source", "architecture"))
    name = source.rstrip("/").rpartition("/")[2]
    return f"{name} ({architecture})" if name and architecture not in ("", name) else name or architecture or "a model"


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
        map: the unit's activation at each patch, of which what is below 0 is not shown; on a grid of its own or
            `Contents.grid`; or None.
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
        words: the words there can be, in the order they shall be listed, the best first; None for a column of numbers.
        better: "high" or "low": which numbers are the good ones; None where neither are.
        main: the place of a grade that matters among those, from 1; None for the others, which are folded.
        of_layer: whether the number is a rank among the layer's units, `Contents.layer_units`.
    """

    key: str
    label: str
    help: str
    values: Sequence[Value] | np.ndarray
    digits: int = 3
    words: Sequence[str] | None = None
    better: str | None = None
    main: int | None = None
    of_layer: bool = False


@dataclass(frozen=True)
class Band:
    """Rows of a layout that belong together, e.g. one layer's: from `row` on, `rows` of them."""

    label: str
    row: int
    rows: int


@dataclass(frozen=True)
class Region:
    """A name on a layout, at a point in columns and rows from the corner.

    Attributes:
        telling: how well it tells the place from all others; names are shown in that order, as there is room.
        kind: whether it is of a kind of classes, and not of a class.
    """

    text: str
    x: float
    y: float
    telling: float
    kind: bool


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
        seen: of each unit, how many of its best photographs are of which class; () where nobody counted.
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
        words: of each unit, the word that a CLIP's text tower named it by, or None; () where nobody asked.
        silent: numbers of units that hardly respond to any photograph.
        layer_units: of each tap, among how many units its units are ranked; {} where nothing says it.
        further: {name: value} of further data files of the page.
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
    seen: Sequence[Mapping[str, int]] = ()
    duplicate: Sequence[int | None] = ()
    exemplars: Callable[[int], Sequence[Exemplar]] = lambda n: ()
    quantiles: Callable[[int], Sequence[Quantile]] = lambda n: ()
    histogram: Callable[[int], Histogram | None] = lambda n: None
    near: Callable[[int], Mapping[str, Sequence[Neighbour]]] = lambda n: {}
    photo: Callable[[int], bytes] | None = None
    photos: int = 0
    tables: Mapping[str, pa.Table] = field(default_factory=dict)
    beside: Sequence[Mapping[str, str]] = ()
    words: Sequence[str | None] = ()
    silent: Sequence[int] = ()
    layer_units: Mapping[str, int] = field(default_factory=dict)
    further: Mapping[str, object] = field(default_factory=dict)

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
