"""Lists which units respond to which photographs, and what these look like in small, to search by one."""

import base64
import io
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

SIDE = 8  # pixels of a photograph in small


def look(photograph: bytes) -> str:
    """What a photograph looks like in small: base64 of `SIDE` × `SIDE` pixels, row by row, three bytes each."""
    small = Image.open(io.BytesIO(photograph)).convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX)
    return base64.b64encode(np.asarray(small).tobytes()).decode()


class Shown:
    """The photographs that units' pages show.

    Args:
        silent: numbers of units that hardly respond, and so to no photograph.
    """

    def __init__(self, silent: Collection[int] = ()):
        self._silent = frozenset(silent)
        self._units: dict[int, list[int]] = defaultdict(list)  # photograph: unit, rank, unit, rank, …
        self._classes: dict[int, str | None] = {}

    def add(self, unit: int, detail: Mapping[str, Any]) -> None:
        """Adds a unit, of which `detail` says what its page shows."""
        for rank, one in enumerate(detail["exemplars"]):
            self._classes[one["photo"]] = one["class"]
            if unit not in self._silent:
                self._units[one["photo"]] += unit, rank
        for one in detail["quantiles"]:
            self._classes.setdefault(one["photo"], None)

    @property
    def numbers(self) -> list[int]:
        """The photographs' numbers, in order."""
        return sorted(self._classes)

    def index(self, looks: Sequence[str]) -> dict[str, object]:
        """Says what is known of the photographs, for data/photographs.js; `looks` are in the order of numbers."""
        numbers = self.numbers
        return {
            "side": SIDE,
            "numbers": numbers,
            "looks": list(looks),
            "classes": [self._classes[number] for number in numbers],
            "units": [self._units.get(number, []) for number in numbers],
        }
