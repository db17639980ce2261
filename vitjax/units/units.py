"""Unit ids: a tap and an index (`blocks.7.mlp.hidden:1203`), and sets of them (`blocks.*.mlp.hidden:0-63`)."""

import itertools
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from vitjax.errors import InputError
from vitjax.models.core.class_names import NAMELESS, ClassNames
from vitjax.models.core.network import Network
from vitjax.models.core.tap_site import PLACES, Site, unknown
from vitjax.models.core.vocabulary import NUMBERS, SCALE, split_unit
from vitjax.ranges import Range
from vitjax.units.algebra import Algebra

_POWER = Range(0, 100)
_SPAN = re.compile(r"^(\d{1,18})(?:-(\d{1,18}))?$")
_VARIANT = re.compile(r"(.*?)(?:(#)(\d{1,9}))?", re.DOTALL)
_OPEN = re.compile(r"((?:stages\.\d+\.)?(?:blocks|stages)\.)((?!\d+\.)[^.]+)\.(.+)")  # up to the first number left open


@dataclass(frozen=True, order=True)
class Unit(Algebra):
    """One number of a tap that a picture is made for: a channel, a (head, channel), a class.

    `index` has one entry for each axis of the tap that does not say where on the image: not token, row or column.
    `variant` counts the pictures of one unit, written `TAP:INDEX#VARIANT` but for the first, 0.
    """

    tap: str
    index: tuple[int, ...]
    variant: int = 0

    def __str__(self) -> str:
        return f"{self.tap}:{'.'.join(map(str, self.index))}{_numbered(self.variant)}"

    @property
    def hash(self) -> int:
        """32 bits of the unit's name: its random numbers depend on nothing else but the seed."""
        return zlib.crc32(str(self).encode())


@dataclass(frozen=True, eq=False)
class Direction(Algebra):
    """A direction in a tap's index space, e.g. a probe's weights: the picture maximises the activation along it.

    `vector` has the shape of the tap without its axes of places, or that shape flattened; `variant` is as a unit's.
    """

    tap: str
    name: str
    vector: np.ndarray
    variant: int = 0

    def __str__(self) -> str:
        return f"{self.tap}:{self.name}{_numbered(self.variant)}"

    @property
    def hash(self) -> int:
        """32 bits of the direction's name."""
        return zlib.crc32(str(self).encode())


@dataclass(frozen=True, eq=False)
class Cosine(Direction):
    """A direction of which the angle counts: the activation is its length times its cosine with the tap's value.

    A larger value of the same angle gains nothing, as in CLIP's similarity of image and text.
    """


@dataclass(frozen=True, eq=False)
class CosinePower(Direction):
    """A direction of which both length and angle count: the dot product times a power of the cosine, of 0.1 at least.

    The floor keeps a gradient where the angle is still wide (Lucid, `_dot_cossim`; Carter et al. 2019). With power 0 it
    is the direction itself.
    """

    power: float = 2.0

    def __post_init__(self):
        object.__setattr__(self, "power", _POWER.check(f"{self.name}: power of the cosine", self.power))

    def __str__(self) -> str:
        plain = super().__str__()
        return f"cosine({self.power:g}, {plain})" if self.power else plain


def caption(unit: Unit | Direction | str) -> str:
    """Gives the name of a unit or tap as short as a caption wants it: `7.mlp.hidden:1203`."""
    return str(unit).replace("stages.", "").replace("blocks.", "")


def _numbered(variant: int) -> str:
    return f"#{variant}" if variant else ""


def expand(
    sets: str | Unit | Iterable[str | Unit], taps: Mapping[str, Site], names: ClassNames = NAMELESS
) -> list[Unit]:
    """Expands unit sets into units, in the order given, each once.

    A set is `TAP:INDEX`. In TAP, `*` stands for any block, `2-5` or `2,5` for some; INDEX is a number, a span `0-63`, a
    list `4,218`, or `*`; taps with heads take `HEAD.CHANNEL`, e.g. `blocks.3.attn.z:0-2.12`. `TAP:INDEX#2` is a unit's
    variant 2. Classes are also called by their names, one or several with commas between: `logits:golden retriever`.

    Args:
        sets: one or several unit sets, or units.
        taps: of the model, as `model.taps()` gives them.
        names: of the model's classes, `model.class_names`.

    Raises:
        InputError: malformed sets, unknown taps (with the nearest), indices out of range, names of no class or of
            several.
    """
    sets = [sets] if isinstance(sets, str | Unit) or not isinstance(sets, Iterable) else list(sets)
    spelled = [str(one) if isinstance(one, Unit) else _by_number(one, names) for one in sets]
    units = [unit for text in spelled for unit in _expand_one(text, taps)]
    return list(dict.fromkeys(units))


def sample(units: list[Unit], count: int, seed: int) -> list[Unit]:
    """Draws `count` units at random without repetition, evenly over their taps, in the given order."""
    groups: dict[str, list[int]] = {}
    for position, unit in enumerate(units):
        groups.setdefault(unit.tap, []).append(position)
    rng = np.random.default_rng(seed)
    shuffled = [list(rng.permutation(group)) for group in groups.values()]
    turns = itertools.chain.from_iterable(itertools.zip_longest(*shuffled))
    chosen = itertools.islice((position for position in turns if position is not None), count)
    return [units[position] for position in sorted(chosen)]


def check_tap(tap: str, taps: Iterable[str]) -> None:
    """Raises an InputError that names the nearest taps if the model has no such tap."""
    if tap not in taps:
        raise unknown(tap, taps)


def matching(pattern: str, taps: Iterable[str]) -> list[str]:
    """The taps that a pattern means: `blocks.*.mlp.hidden` those of all blocks, `blocks.2-5.…` of some.

    Likewise for `stages.*.blocks.*.out`. Of the blocks meant, those that lack the tap are left out, and of a block that
    runs on several scales every scale is meant where the pattern names none.

    Raises:
        InputError: a tap (with the nearest), a block or a stage that is not there.
    """
    spelled = _spelled(pattern, pattern, taps)
    found = [tap for tap in spelled if tap in taps]
    if not found:
        raise unknown(pattern, taps, next(iter(spelled), pattern))
    return found


def neurons(model: Network, blocks: Iterable[int] | None = None) -> dict[str, int]:
    """The taps of the model's neurons, each with the number of its block; blocks count through all stages.

    A block that runs on several scales counts once for each.

    Args:
        model: any.
        blocks: those meant; default all.

    Raises:
        InputError: a block that is not there.
    """
    every = dict(enumerate(matching(model.neurons, model.taps())))
    numbers = every if blocks is None else dict.fromkeys(blocks)
    if wrong := [number for number in numbers if number not in every]:
        raise InputError(f"block {wrong[0]} is out of range, this model has {len(every)} (0-{len(every) - 1})")
    return {every[number]: number for number in numbers}


def _spelled(pattern: str, whole: str, taps: Iterable[str]) -> list[str]:
    """Writes a pattern out number by number; those left open are of stages or of blocks."""
    left = _OPEN.match(pattern)
    if not left:
        scales = [] if pattern in taps else [tap for tap in taps if SCALE.sub("", tap) == pattern]
        return scales or [pattern]
    numbers = {tap[left.end(1) :].partition(".")[0] for tap in taps if tap.startswith(left[1])}
    if not numbers:
        return [pattern]
    some = _indices(left[2], len(numbers), left[1].rstrip("."), whole)
    return [tap for i in some for tap in _spelled(f"{left[1]}{i}.{left[3]}", whole, taps)]


def _by_number(text: str, names: ClassNames) -> str:
    """A unit set whose classes may be called by name, with their numbers."""
    tap, index = split_unit(text)
    if NUMBERS.fullmatch(index):
        other = [number for number in names.matches(index) if str(number) != index]
        if other and index.isdecimal():
            raise InputError(
                f"{text}: class {other[0]} is called {index!r}; write {tap}:{other[0]}-{other[0]} if that is meant,"
                f" {tap}:{index}-{index} for the class with this number"
            )
        return text
    index, sharp, variant = _VARIANT.fullmatch(index).groups("") if not names.matches(index) else (index, "", "")
    if not names:
        raise InputError(
            f"{text}: nothing says what this model's classes are called; give a number, e.g. {tap}:0, or the names"
            " (class_names=, --class-names)"
        )
    parts = index.split(",")
    if names.matches(index) or not all(names.matches(part) for part in parts):
        parts = [index]
    return f"{tap}:{','.join(str(names.number(part)) for part in parts)}{sharp}{variant}"


def _expand_one(text: str, taps: Mapping[str, Site]) -> list[Unit]:
    pattern, index = split_unit(text)
    index, _, variant = index.partition("#")
    units = []
    for tap in matching(pattern, taps):
        shape = taps[tap].units
        parts = index.split(".") if index != "*" else ["*"] * len(shape)
        if len(parts) != len(shape):
            form = ".".join(axis.upper() for axis in taps[tap].axes if axis not in PLACES)
            raise InputError(f"{text}: the units of {tap} are written {tap}:{form}")
        spans = [_indices(part, size, tap, text) for part, size in zip(parts, shape, strict=True)]
        units += [Unit(tap, choice, int(variant or 0)) for choice in itertools.product(*spans)]
    return units


def _indices(text: str, size: int, tap: str, whole: str) -> list[int]:
    if text == "*":
        return list(range(size))
    numbers: list[int] = []
    for part in text.split(","):
        span = _SPAN.match(part)
        if not span:
            raise InputError(f"{whole}: {part!r} is no index; write a number, a span 0-63 or *")
        first, last = int(span[1]), int(span[2] or span[1])
        if first > last:
            raise InputError(f"{whole}: the span {part} runs backwards (write {last}-{first})")
        if last >= size:
            raise InputError(f"{whole}: {last} is out of range, {tap} has {size} (0-{size - 1})")
        numbers += range(first, last + 1)
    return numbers
