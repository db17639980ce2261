"""What the user named as data in, a fixed list of images out, each read by its place.

A folder, a zip, parquet files, or a data set on the hub: `Images` looks the same whichever it is.
"""

import os
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from vitjax.errors import InputError, nearest
from vitjax.ranges import COUNT

ENDINGS = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm"}


@dataclass(frozen=True, eq=False)
class Images:
    """Images in the order of their names (of a parquet table: of its rows).

    Attributes:
        source: what the user named.
        names: one for each image, no two alike.
        read: the bytes of the file with this place in `names`; may be called from any thread, and pickled.
        texts: text files that stood among the images (`val_annotations.txt`: lists of classes or boxes), by name; each
            is read when it is asked for.
        column: the classes that a table gives, int [image]; None where there is no such column.
        folders: the paths of all folders that hold images directly, sorted, of the whole data set even where this is a
            part of it.
        kinds: what a table calls the classes of its column, in the order of their numbers; () where it does not say.
    """

    source: str
    names: tuple[str, ...]
    read: Callable[[int], bytes]
    texts: Mapping[str, str] = field(default_factory=dict)
    column: np.ndarray | None = None
    folders: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return f"Images({self.source!r}, {len(self)} images)"

    def some(self, count: int | None) -> "Images":
        """At most `count` of the images, evenly spaced over the list, so that all its folders are met; None gives all.

        Raises:
            InputError: a count below 1.
        """
        if count is None or COUNT.check("limit", count) >= len(self):
            return self
        return self.take(np.arange(count) * len(self) // count)

    def take(self, places: Sequence[int]) -> "Images":
        """The images at these places, in this order."""
        places = np.asarray(places, int)
        names = tuple(self.names[i] for i in places)
        column = None if self.column is None else self.column[places]
        return replace(self, names=names, read=_Places(self.read, places), column=column)


def folder(name: str) -> str:
    """The path of the folder that holds an image directly, "" for none."""
    return name.rpartition("/")[0]


def folders(names: Iterable[str]) -> tuple[str, ...]:
    """The paths of all folders that hold these images directly, sorted."""
    return tuple(sorted({folder(name) for name in names}))


def open_images(source: str | Path | Sequence[Any], split: str | None = None) -> Images:
    """Opens a data set; looks at names (of a table: at its small columns) alone, no image is read.

    Files whose name, or whose folder's, begins with a dot, and the `__MACOSX` of zips, are left out.

    Args:
        source: a folder (with all its folders) or a zip of image files, or one image file; a .parquet file or a folder
            of them; or a hub data set, `hf://datasets/OWNER/NAME`, with `@REVISION` where the newest is not meant; or
            images that lie in memory, as `vitjax.data.arrays.in_memory` takes them.
        split: which part of a parquet data set, e.g. "validation".

    Raises:
        InputError: nothing of the kind there, no images in it, or a zip that holds a name twice.
    """
    if not isinstance(source, str | os.PathLike):
        from vitjax.data.arrays import in_memory

        if split is not None:
            raise InputError(f"split={split!r} has no meaning for images in memory: only parquet data sets have splits")
        return in_memory(source)
    text = str(source)
    if text.startswith("hf:"):
        from vitjax.data.hub import open_hub  # huggingface-hub takes a fifth of a second, for hub data sets only

        return open_hub(text, split)
    path = Path(text).expanduser()
    files = list(walk(path)) if path.is_dir() else []
    if path.suffix == ".parquet" or any(name.endswith(".parquet") for name in files):
        from vitjax.data.parquet import open_files

        return open_files(path, split)
    if split is not None:
        raise InputError(f"split={split!r} has no meaning for {path}: only parquet data sets have splits")
    if path.is_dir():
        return _listed(text, files, _Folder(path))
    if path.is_file() and path.suffix.lower() in ENDINGS:
        return _listed(text, [path.name], _Folder(path.parent))
    if not zipfile.is_zipfile(path):
        known = f"{path} is neither an image, a folder, a zip nor a parquet file"
        raise InputError(known if path.exists() else missing(path))
    archive = _Zip(path)
    files = [name for name in archive.names() if not name.endswith("/") and not _hidden(name)]
    twice = [name for name, count in Counter(files).items() if count > 1]
    if twice:
        raise InputError(f"{path} holds {twice[0]} {'and others ' if twice[1:] else ''}twice: which one is meant?")
    return _listed(text, files, archive)


def walk(root: Path) -> Iterator[str]:
    """The files below a folder, as paths from there; linked folders are entered, each once."""
    entered = set()
    for here, below, files in os.walk(root, followlinks=True):
        if (real := os.path.realpath(here)) in entered:
            below.clear()
            continue
        entered.add(real)
        below[:] = sorted(name for name in below if not _hidden(name))
        start = Path(here).relative_to(root).as_posix()
        yield from (name if start == "." else f"{start}/{name}" for name in files if not _hidden(name))


def checksum(names: Sequence[str]) -> str:
    """Eight hexadecimal digits that tell one list of names from another."""
    return f"{zlib.crc32(chr(10).join(names).encode(errors='surrogateescape')):08x}"


def missing(path: Path) -> str:
    """Says that there is no such path, and what is nearest beside it."""
    known = os.listdir(path.parent) if path.parent.is_dir() else ()
    return f"{path} does not exist{nearest(path.name, known)}"


def _hidden(name: str) -> bool:
    return any((part.startswith(".") and part != ".") or part == "__MACOSX" for part in name.split("/"))


def _listed(source: str, files: Sequence[str], reader: Callable[[str], bytes]) -> Images:
    names = tuple(sorted(name for name in files if os.path.splitext(name)[1].lower() in ENDINGS))
    if not names:
        raise InputError(f"no images in {source}: looked for {', '.join(sorted(ENDINGS))}")
    texts = _Texts(reader, tuple(sorted(name for name in files if name.endswith(".txt"))))
    return Images(source, names, _Named(reader, names), texts, folders=folders(names))


@dataclass(frozen=True)
class _Named:
    reader: Callable[[str], bytes]
    names: tuple[str, ...]

    def __call__(self, place: int) -> bytes:
        return self.reader(self.names[place])


@dataclass(frozen=True, eq=False)
class _Places:
    read: Callable[[int], bytes]
    places: np.ndarray

    def __call__(self, place: int) -> bytes:
        return self.read(int(self.places[place]))


@dataclass(frozen=True, eq=False)
class _Texts(Mapping[str, str]):
    reader: Callable[[str], bytes]
    names: tuple[str, ...]

    def __getitem__(self, name: str) -> str:
        if name not in self.names:
            raise KeyError(name)
        return self.reader(name).decode(errors="replace")

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class _Folder:
    path: Path

    def __call__(self, name: str) -> bytes:
        return (self.path / name).read_bytes()


@dataclass(frozen=True)
class _Zip:
    path: Path

    @cached_property
    def file(self) -> zipfile.ZipFile:
        """The open archive, of this process; it may be read from any thread."""
        return zipfile.ZipFile(self.path)

    def names(self) -> list[str]:
        """What the archive holds."""
        try:
            return self.file.namelist()
        except Exception as error:  # as below
            raise InputError(f"{self.path} is not a readable zip: {error}") from None

    def __call__(self, name: str) -> bytes:
        try:
            return self.file.read(name)
        except Exception as error:  # a damaged archive fails in as many ways as there are kinds of compression
            raise InputError(f"not readable from the zip: {error or type(error).__name__}") from None

    def __getstate__(self):
        return {"path": self.path}
