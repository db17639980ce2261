"""Finds where the name of a class ends in a sum of units: it may hold blanks, hyphens, parentheses, even operators."""

import re
from collections.abc import Sequence

from vitjax.models.core.class_names import ClassNames
from vitjax.models.core.vocabulary import NUMBERS

_STOP = re.compile(r"\s+[-+*/](?=\s)|[()]")
_VARIANT = re.compile(r"#\d{1,9}")


def class_ends(text: str, first: int) -> list[int]:
    """Where a name may end that begins at `first`: before operators, before a ) too many, at the end of the text."""
    ends, depth = [], 0
    for found in _STOP.finditer(text, first):
        depth += {"(": 1, ")": -1}.get(found[0], 0)
        if found[0] != "(" and depth <= 0 and not (found[0] == ")" and depth == 0):
            ends.append(found.start())
    number = NUMBERS.match(text, first)
    if number and text[number.end() : number.end() + 1] in {")", "+", "/"}:  # numbers need no space after them
        ends.insert(0, number.end())
    return [*ends, len(text)]


def read_class(text: str, first: int, ends: Sequence[int], names: ClassNames) -> tuple[str, int]:
    """Reads the numbers or the name of a class: the longest text that is one, or else as far as the first end.

    Args:
        text: that it is in.
        first: where it begins.
        ends: where it may end.
        names: of all classes.

    Returns:
        The index, with the variant after it, and where it ends.
    """
    for end in reversed(ends):
        index = text[first:end].strip()
        name = index if names.matches(index) else re.sub(rf"{_VARIANT.pattern}$", "", index)
        if names.matches(name) or all(map(names.matches, name.split(","))):
            return index, end
    quote = text[first : first + 1]
    if quote in {"'", '"'} and (closing := text.find(quote, first + 1)) > 0:
        variant = _VARIANT.match(text, closing + 1)
        end = variant.end() if variant else closing + 1
        return text[first + 1 : closing] + text[closing + 1 : end], end
    return text[first : ends[0]].strip(), ends[0]
