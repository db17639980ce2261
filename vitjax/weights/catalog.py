"""Lists the checkpoints that are known by name, from a table that needs neither the network nor JAX."""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

TABLE = Path(__file__).with_name("catalog.csv")  # written by converters/catalog.py


@dataclass(frozen=True)
class Known:
    """One checkpoint: its hub id, who trained it how, and what it holds.

    `parameters` and `neurons` (hidden units of all MLPs, or channels that the blocks of a convolutional network give)
    are counts, `image_size` is HEIGHTxWIDTH in pixels, `licence`
    is the one that its page or timm states, empty if none.
    """

    name: str
    family: str
    parameters: int
    image_size: str
    blocks: int
    neurons: int
    licence: str


def known(words: Iterable[str] = ()) -> list[Known]:
    """Lists those whose name, family or licence holds every one of some words, in any case of letters."""
    words = [word.lower() for word in words]
    with open(TABLE, newline="") as file:
        rows = list(csv.DictReader(file))
    counts = ("parameters", "blocks", "neurons")
    return [
        Known(**row | {count: int(row[count]) for count in counts})
        for row in rows
        if all(word in f"{row['name']} {row['family']} {row['licence']}".lower() for word in words)
    ]
