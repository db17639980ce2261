"""Says what the value of a tap is: its shape, a name for each axis, and the grid of places that it stands on."""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
from jaxtyping import Float, Int

from vitjax.errors import InputError, nearest
from vitjax.models.core.vocabulary import host

if TYPE_CHECKING:  # what places photographs reads this, too, and need not wait for JAX
    from jaxtyping import Array

_BLOCK = re.compile(r"^((?:stages\.\d+\.)?blocks\.)(\d+)\.")
PLACES = frozenset({"token", "row", "column", "window"})  # axes that say where on the image; the others say which unit


class Places(NamedTuple):
    """The places that tokens stand on, from where they are said on.

    Attributes:
        grid: (rows, columns), row by row; None where tokens are none of an image.
        prefix: tokens before those of the grid: class token, distillation token, registers.
        class_token: whether the first of these is a class token.
    """

    grid: tuple[int, int] | None = None
    prefix: int = 0
    class_token: bool = False


NOWHERE = Places()


class Cut(Protocol):
    """How a grid of places is cut into windows; see `vitjax.models.parts.windows.Windows`."""

    @property
    def grid(self) -> tuple[int, int]:
        """(rows, columns) of the places."""

    @property
    def places(self) -> Int[np.ndarray, "window token"]:
        """Which place each token of each window is, counted row by row; -1 for one that a window is filled up with."""


@dataclass(frozen=True)
class Site:
    """What a tap's value is, of one image.

    Attributes:
        shape: of the value, without the batch axis.
        axes: the name of each axis of `shape`, e.g. ("token", "head", "channel") or ("row", "column", "channel").
        grid: (rows, columns) of the places on the image that its tokens after the first `prefix`, or its rows and
            columns, stand on; None where it has no places.
        prefix: its tokens that are no places, which come first.
        class_token: whether the first of these is a class token.
        before: the tap that holds the same units before the activation function; None where there is none.
        cut: of a value with an axis of windows, how a grid was cut into them: query or key `i` of window `w` is the
            place `cut.places[w, i]` of `cut.grid`. None elsewhere.
    """

    shape: tuple[int, ...]
    axes: tuple[str, ...]
    grid: tuple[int, int] | None = None
    prefix: int = 0
    class_token: bool = False
    before: str | None = None
    cut: Cut | None = None

    @property
    def units(self) -> tuple[int, ...]:
        """The shape of its index space: the sizes of the axes that do not say where on the image."""
        return tuple(size for size, axis in zip(self.shape, self.axes, strict=True) if axis not in PLACES)

    @property
    def places(self) -> tuple[int, ...]:
        """The sizes of the axes that say where on the image; they come first."""
        return tuple(size for size, axis in zip(self.shape, self.axes, strict=True) if axis in PLACES)

    @property
    def tokens(self) -> int:
        """How many places it has, those of the prefix too; 1 where it has none."""
        return math.prod(self.places)


def halved(grid: tuple[int, int], later: tuple[int, int]) -> int | None:
    """How many rows and columns of a grid a place of a later stage's grid covers; None if stages that halve it, odd
    numbers rounded up, do not lead there."""
    times = 1
    while (reached := tuple(-(-side // times) for side in grid)) != later:
        if reached == (1, 1):
            return None
        times *= 2
    return times


def site(
    shape: tuple[int, ...], axes: tuple[str, ...], stood: Places, before: str | None = None, cut: Cut | None = None
) -> Site:
    """The site of a value of this shape among tokens that stand on `stood`, or in windows that these are `cut` into."""
    if "row" in axes:
        return Site(shape, axes, (shape[axes.index("row")], shape[axes.index("column")]), before=before)
    if "window" in axes:
        return Site(shape, axes, before=before, cut=cut)
    if "token" in axes or "key" in axes:
        return Site(shape, axes, *stood, before=before)
    return Site(shape, axes, before=before)


class Sites(dict[str, Site]):
    """The sites of a model's taps, in the order of the forward pass.

    Attributes:
        lacking: why the model has none of some taps that others have, see `Network.lacking`.
    """

    def __init__(self, sites: Mapping[str, Site], lacking: Mapping[str, str]):
        super().__init__(sites)
        self.lacking = lacking

    def __repr__(self) -> str:
        return "\n".join([f"{len(self)} taps", *table(grouped(self))])


@dataclass(frozen=True)
class LastLayer:
    """The dense layer that gives a tap: unit u is act(norm(x) @ kernel[:, 0, u] + bias[0, u]), times its other parts.

    Attributes:
        source: the tap of the tokens x that it reads.
        norm: of the tokens.
        kernel: its weights; a unit of a gated MLP has two parts, gate and up.
        bias: of each part and unit.
        activation: of the first part; None where the layer is linear.
    """

    source: str
    norm: "Callable[[Array], Array]"
    kernel: 'Float[Array, "channel part unit"]'
    bias: 'Float[Array, "part unit"]'
    activation: "Callable[[Array], Array] | None" = None


def unknown(tap: str, taps: Iterable[str], spelled: str | None = None) -> InputError:
    """The error of a tap that is not there: why the model has none of its kind, if it says so, or which are nearest.

    Args:
        tap: as the user wrote it.
        taps: that there are; of `Sites` the reasons are known too.
        spelled: the tap without what stands for several numbers; default the tap.
    """
    if (of := host(tap)) != tap and of in taps:
        return InputError(
            f"unknown tap {tap!r}: the model was given no file of it; name the file, e.g. --dictionary directions.npz,"
            f" or {of}=sae.pt for a dictionary"
        )
    if isinstance(taps, Sites):
        for end, reason in taps.lacking.items():
            if f".{tap}".endswith(f".{end}"):
                return InputError(f"there is no tap {tap!r}: {reason}")
    return InputError(f"unknown tap {tap!r}{nearest(spelled or tap, taps)}")


def grouped(taps: Mapping[str, Site]) -> dict[str, Site]:
    """Groups the taps of blocks that have one name, shape and axes, under a pattern that means just these.

    Args:
        taps: in the order of the forward pass.

    Returns:
        {pattern: site}, where `vitjax.units.units.matching` gives a pattern's taps again. Groups are in the order of
        the forward pass; one that not every block has, such as latents of a dictionary, stands after the tap of its
        block that it comes after.
    """
    order: list[tuple] = []  # of groups
    numbers: dict[tuple, list[int]] = {}
    sites: dict[tuple, Site] = {}
    last, layer = None, ""
    for tap, site in taps.items():
        found = _BLOCK.match(tap)
        here, name = (found[0], tap[found.end() :]) if found else ("", tap)
        group = (found[1] if found else "", name, site.shape, site.axes)
        if group not in sites:
            beside = here and here == layer
            order.insert(order.index(last) + 1 if beside else len(order), group)
            sites[group] = site
        numbers.setdefault(group, []).extend([int(found[2])] if found else [])
        last, layer = group, here
    return {_pattern(group, numbers[group]): sites[group] for group in order}


def _pattern(group: tuple, numbers: list[int]) -> str:
    stack, name, *_ = group
    return f"{stack}{spans(numbers)}.{name}" if stack else name


def spans(numbers: Iterable[int]) -> str:
    """Writes rising numbers as spans: `0,2-5`."""
    numbers = list(numbers)
    ends = [i for i, (a, b) in enumerate(pairwise(numbers)) if b != a + 1]
    starts = [0, *(i + 1 for i in ends)]
    pairs = zip(starts, [*ends, len(numbers) - 1], strict=True)
    return ",".join(str(numbers[a]) if a == b else f"{numbers[a]}-{numbers[b]}" for a, b in pairs)


def table(sites: Mapping[str, Site], most: int | None = None) -> list[str]:
    """Writes taps as lines of a table: name, shape of the value on one image, what its axes are; `most` of them."""
    shapes = [str(list(site.shape)) for site in sites.values()]
    wide, broad = max(map(len, sites)), max(map(len, shapes))
    rows = zip(sites.items(), shapes, strict=True)
    lines = [f"{tap:{wide}}  {shape:{broad}}  {', '.join(site.axes)}" for (tap, site), shape in rows]
    return lines if most is None or len(lines) <= most else [*lines[:most], f"… {len(lines) - most} more in .taps()"]
