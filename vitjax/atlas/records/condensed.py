"""Writes units as sets by tap, as a manifest holds them, and reads them again."""

import re
from collections.abc import Mapping, Sequence

from vitjax.errors import InputError
from vitjax.units.units import Unit

MOST = 10**7  # units of an atlas: a damaged range may name any number


def condense(units: Sequence[Unit]) -> dict[str, str]:
    """Writes units as sets, by tap: `{"blocks.3.mlp.hidden": "0-63,71"}`; units of taps with heads as `2.12;2.13`."""
    groups: dict[str, list[tuple[int, ...]]] = {}
    for unit in units:
        groups.setdefault(unit.tap, []).append(unit.index)
    return {tap: _spans([i for (i,) in found]) if len(found[0]) == 1 else ";".join(".".join(map(str, i)) for i in found)
            for tap, found in groups.items()}  # fmt: skip


def spread(condensed: Mapping[str, str]) -> list[Unit]:
    """Reads the units that `condense` was given.

    Raises:
        InputError: what no `condense` has written.
    """
    number = r"\d{1,9}"
    sets = re.compile(rf"{number}(-{number})?(,{number}(-{number})?)*|{number}(\.{number})+(;{number}(\.{number})+)*")
    for tap, indices in condensed.items():
        if not sets.fullmatch(indices):
            raise InputError(f"{indices!r} are no units of {tap}")
    spans = [span for indices in condensed.values() for span in re.findall(r"(\d+)-(\d+)", indices)]
    if sum(int(last) - int(first) for first, last in spans) > MOST:
        raise InputError(f"these are more than {MOST:,} units")
    return [
        Unit(tap, index)
        for tap, indices in condensed.items()
        for part in re.split("[,;]", indices)
        for index in ([tuple(map(int, part.split(".")))] if "-" not in part else _span(part))
    ]


def _span(text: str) -> list[tuple[int]]:
    first, last = map(int, text.split("-"))
    return [(i,) for i in range(first, last + 1)]


def _spans(numbers: Sequence[int]) -> str:
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in spans)
