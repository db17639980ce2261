"""Reads sums of unit sets, `blocks.3.mlp.hidden:5 - 0.5 * blocks.7.attn.z:2.12`; known without importing JAX.

    sum      = product { ("+" | "-") product }
    product  = factor { ("*" | "/") factor }, all but one of them numbers
    factor   = "-" factor | NUMBER | "(" sum ")" | "after(" sum ")" | "cosine(" POWER "," SET ")" | SET

A SET is a unit set, `TAP:INDEX`, or one of a file of directions, `FILE.npz:INDEX` (see `vitjax.units.in_files`). In it
`-` and `*` belong to the index, so that the operators after one stand apart from it by a space. Names of classes may
hold spaces, hyphens and even operators: of the texts that could be one, the longest that is one counts. The whole, in
parentheses, may have a variant: `(A - B)#2`.
"""

import re
from dataclasses import dataclass
from typing import NamedTuple

from vitjax.errors import SHOWN, InputError, Misspelled, nearest, printable
from vitjax.models.core.class_names import NAMELESS, ClassNames
from vitjax.models.core.vocabulary import FILE, LOGITS, NUMBERS, no_unit, split_unit
from vitjax.units.class_in_text import class_ends, read_class

_NUMBER = re.compile(r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.:])")
_TAP = re.compile(rf"{FILE}(?=:)|[^\W\d][^\s:()+/'\"]*")
_FILE = re.compile(rf"{FILE}(?=:)")
_PLAIN = re.compile(rf"{FILE}:[^\s()+/'\"]+|[^\W\d][^\s()+/'\"]*")
_VARIANT = re.compile(r"#(\d{1,9})")
_JOINED = re.compile(r":\d+[-+*/][^\W\d]")  # an operator without a space before it
_FUNCTIONS = ("after", "cosine")


class Part(NamedTuple):
    """A unit set in a sum.

    Attributes:
        weight: of all its units.
        units: the set, `TAP:INDEX`.
        place: where it stands in the text.
        after: whether it is read after the activation function whatever the recipe says.
        power: of the cosine that the activation is multiplied by; None for none.
    """

    weight: float
    units: str
    place: int
    after: bool = False
    power: float | None = None


@dataclass(frozen=True)
class Expression:
    """A text that was read: a weighted sum of unit sets, and the variant of the whole."""

    text: str
    parts: tuple[Part, ...]
    variant: int | None = None


def read(text: str, names: ClassNames = NAMELESS) -> Expression:
    """Reads a sum of unit sets, or one unit set, without asking whether a model has them.

    Args:
        text: as above.
        names: of the model's classes.

    Raises:
        Misspelled: it is none.
    """
    return _plain(text) or _Reader(text, names).whole()


def check_spelling(text: str) -> None:
    """Raises `Misspelled` if a text is no sum of unit sets, as far as that needs no names of classes."""
    try:
        _plain(text) or _Reader(text, None).whole()
    except _Named:
        return


def is_unit_set(text: str) -> bool:
    """Whether a text is a unit set and nothing more."""
    try:
        return read(text).parts[0].units == text
    except InputError:
        return False


def _plain(text: str) -> Expression | None:
    """A text without anything that a sum would have is one unit set."""
    if not _PLAIN.fullmatch(text) or _JOINED.search(text):
        return None
    return Expression(text, (Part(1.0, ":".join(split_unit(text)), 0),))


class _Named(Exception):
    """What follows depends on what classes are called."""


class _Reader:
    """Reads a text from left to right; a value is a number or a list of parts."""

    def __init__(self, text: str, names: ClassNames | None):
        self.text, self.names, self.at = text, names, 0

    def whole(self) -> Expression:
        """The expression that the text is."""
        begins = self._next() == "("
        try:
            parts = self._goals(self._sum, "the whole")
        except RecursionError:
            raise InputError(f"{printable(self.text[:SHOWN])}… is no sum of units: it is nested too deep") from None
        variant = None
        if begins and self.text[self.at - 1] == ")" and (found := _VARIANT.match(self.text, self.at)):
            variant, self.at = int(found[1]), found.end()
        if self._next():
            raise self._wrong("an operator between two units" if self.text[self.at] != ")" else "no ) without a (")
        return Expression(self.text, tuple(parts), variant)

    def _sum(self) -> float | list[Part]:
        found = self._product()
        while (sign := self._next()) in {"+", "-"}:
            at = self.at
            self.at += 1
            other = self._product()
            if isinstance(found, float) != isinstance(other, float):
                raise self._wrong("a number is added to no unit, it is multiplied by one", at)
            if isinstance(found, float):
                found = found + other if sign == "+" else found - other
            else:
                found = found + (other if sign == "+" else _times(-1.0, other))
        return found

    def _product(self) -> float | list[Part]:
        found = self._factor()
        while (sign := self._next()) in {"*", "/"}:
            at = self.at
            self.at += 1
            other = self._factor()
            if not isinstance(other, float) and (sign == "/" or not isinstance(found, float)):
                raise self._wrong("units are multiplied and divided by numbers alone", at)
            if sign == "/" and not other:
                raise self._wrong("nothing is divided by 0", at)
            found = (
                _times(other if sign == "*" else 1 / other, found) if isinstance(other, float) else _times(found, other)
            )
        return found

    def _factor(self) -> float | list[Part]:
        sign = self._next()
        if sign == "-":
            self.at += 1
            return _times(-1.0, self._factor())
        if sign == "(":
            return self._within(self._sum)
        if not _FILE.match(self.text, self.at) and (found := _NUMBER.match(self.text, self.at)):
            self.at = found.end()
            return float(found[0])
        word = _TAP.match(self.text, self.at)
        if word and self.text.startswith("(", word.end()):
            return self._function(word[0])
        return [self._set()]

    def _function(self, name: str) -> list[Part]:
        if name not in _FUNCTIONS:
            raise self._wrong(f"there is no {name}(…){nearest(name, _FUNCTIONS)}: after(UNIT), cosine(POWER, UNIT)")
        self.at += len(name)
        if name == "after":
            return [part._replace(after=True) for part in self._goals(lambda: self._within(self._sum), "after(…)")]
        return self._within(self._cosine)

    def _cosine(self) -> list[Part]:
        self._next()
        if not (power := _NUMBER.match(self.text, self.at)):
            raise self._wrong("a number is due, the power of the cosine: cosine(2, UNIT)")
        self.at = power.end()
        if self._next() != ",":
            raise self._wrong("a comma is due: cosine(2, UNIT)")
        self.at += 1
        self._next()
        return [self._set()._replace(power=float(power[0]))]

    def _within(self, read):
        """What `read` finds in parentheses."""
        self.at += 1
        found = read()
        if self._next() != ")":
            raise self._wrong("a ) is due")
        self.at += 1
        return found

    def _goals(self, read, what: str) -> list[Part]:
        at, found = self.at, read()
        if isinstance(found, float):
            raise self._wrong(f"{what} is a number and names no unit", at)
        return found

    def _set(self) -> Part:
        at, tap = self.at, _TAP.match(self.text, self.at)
        if not tap or not self.text.startswith(":", tap.end()):
            raise Misspelled(no_unit(self.text[at:]), self.text, at)
        first = tap.end() + 1
        index = self._class(first) if tap[0] == LOGITS else self._numbers(first)
        return Part(1.0, f"{tap[0]}:{index}", at)

    def _numbers(self, first: int) -> str:
        found = NUMBERS.match(self.text, first)
        end = found.end() if found else first
        if not found or not re.match(r"[\s)+/]|$", self.text[end:]):
            raise self._wrong("no index: write numbers, spans 0-63, lists or *, and a space before an operator", end)
        self.at = end
        return found[0]

    def _class(self, first: int) -> str:
        ends = class_ends(self.text, first)
        if self.names is None and NUMBERS.fullmatch(self.text[first : ends[0]]) is None:
            raise _Named
        index, self.at = read_class(self.text, first, ends, self.names or NAMELESS)
        if not index:
            raise self._wrong("the name or number of a class is due", first)
        return index

    def _next(self) -> str:
        """The next letter that is no blank, where reading goes on; empty at the end."""
        while self.text[self.at : self.at + 1].isspace():
            self.at += 1
        return self.text[self.at : self.at + 1]

    def _wrong(self, due: str, at: int | None = None) -> Misspelled:
        return Misspelled(f"{self.text!r} is no sum of units: {due}", self.text, self.at if at is None else at)


def _times(factor: float, value: float | list[Part]) -> float | list[Part]:
    if isinstance(value, float):
        return factor * value
    return [part._replace(weight=factor * part.weight) for part in value]
