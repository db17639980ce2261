"""Describes a data set as a fixed list of images, each read by its place: the same for files, tables, hub and arrays.

`vitjax.data.files.open` makes it from what a user names.
"""

import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

import numpy as np

from vitjax.ranges import COUNT

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Images:
    """Images in the order of their names (of a parquet table: of its rows).

    Attributes:
        source: what the user named.
        names: one for each image, no two alike, all to be written in UTF-8.
        read: the bytes of the file with this place in `names`; may be called from any thread, and pickled.
        texts: text files that stood among the images (`val_annotations.txt`: lists of classes or boxes), by name; each
            is read when it is asked for.
        column: the classes that a table gives, int [image]; None where there is no such column.
        folders: the paths of all folders that hold images directly, sorted, of the whole data set even where this is a
            part of it.
        kinds: what a table calls the classes of its column, in the order of their numbers; () where it does not say.
        peek: some bytes of the file with a place, its size among them, which another file would hardly share: fewer
            than all; None where only reading tells.
        crc: the CRC-32 of the whole file with a place, where a zip states it.
        left_out: {name: why} of files that look like images and are none of these.
    """

    source: str
    names: tuple[str, ...]
    read: Callable[[int], bytes]
    texts: Mapping[str, str] = field(default_factory=dict)
    column: np.ndarray | None = None
    folders: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    peek: Callable[[int], bytes] | None = None
    crc: Callable[[int], int] | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return f"Images({self.source!r}, {len(self)} images)"

    @property
    def beside(self) -> list[str]:
        """What there is to say of the files that are left out, a line for each reason."""
        names = dict(zip(reversed(self.left_out.values()), reversed(self.left_out), strict=True))  # the first of each
        counts = Counter(self.left_out.values())
        return [
            f"left out beside {len(self)} images: {counts[why]}, e.g. {name} ({why})" for why, name in names.items()
        ]

    def some(self, count: int | None) -> "Images":
        """Takes at most `count` of the images, evenly spaced, so that all folders of the list are met; None takes all.

        Raises:
            InputError: a count below 1.
        """
        if count is None or COUNT.check("limit", count) >= len(self):
            return self
        return self.take(np.arange(count) * len(self) // count)

    def take(self, places: Sequence[int]) -> "Images":
        """Takes the images at these places, in this order."""
        places = np.asarray(places, int)
        names = tuple(self.names[i] for i in places)
        column = None if self.column is None else self.column[places]
        read, peek, crc = (one and _Places(one, places) for one in (self.read, self.peek, self.crc))
        return replace(self, names=names, read=read, column=column, peek=peek, crc=crc)


def folder(name: str) -> str:
    """Gives the path of the folder that holds an image directly, "" for none."""
    return name.rpartition("/")[0]


def folders(names: Iterable[str]) -> tuple[str, ...]:
    """Lists the paths of all folders that hold these images directly, sorted."""
    return tuple(sorted({folder(name) for name in names}))


def checksum(names: Sequence[str]) -> str:
    """Gives eight hexadecimal digits that tell one list of names from another."""
    return f"{zlib.crc32(chr(10).join(names).encode(errors='surrogateescape')):08x}"


@dataclass(frozen=True, eq=False)
class _Places(Generic[T]):
    read: Callable[[int], T]
    places: np.ndarray

    def __call__(self, place: int) -> T:
        return self.read(int(self.places[place]))
