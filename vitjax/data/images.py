"""What the user named as data in, a fixed list of images out, each read by its place.

A folder, a zip, parquet files, or a data set on the hub: `Images` looks the same whichever it is.
"""

import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path, PurePosixPath

import numpy as np

from vitjax.errors import InputError

ENDINGS = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm"}


@dataclass(frozen=True, eq=False)
class Images:
    """Images in the order of their names (of a parquet table: of its rows).

    Attributes:
        source: what the user named.
        names: one for each image, no two alike.
        read: the bytes of the file with this place in `names`; may be called from any thread, and pickled.
        texts: small text files that stood among the images (`val_annotations.txt`), by name: lists of classes or boxes.
        column: the classes that a table gives, int [image]; None where there is no such column.
    """

    source: str
    names: tuple[str, ...]
    read: Callable[[int], bytes]
    texts: dict[str, str] = field(default_factory=dict, repr=False)
    column: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.names)

    def some(self, count: int | None) -> "Images":
        """At most `count` of the images, evenly spaced over the list, so that every class is met; None gives all."""
        if count is None or count >= len(self):
            return self
        return self.take(np.linspace(0, len(self), count, endpoint=False).astype(int))

    def take(self, places: Sequence[int]) -> "Images":
        """The images at these places, in this order."""
        places = np.asarray(places, int)
        names = tuple(self.names[i] for i in places)
        column = None if self.column is None else self.column[places]
        return replace(self, names=names, read=_Places(self.read, places), column=column)


def open_images(source: str | Path, split: str | None = None) -> Images:
    """Opens a data set; looks at names alone, no image is decoded.

    Args:
        source: a folder (with all its folders) or a zip of image files; a .parquet file or a folder of them; or a hub
            data set, `hf://datasets/OWNER/NAME`, with `@REVISION` where the newest is not meant.
        split: which part of a parquet data set, e.g. "validation".

    Raises:
        InputError: nothing of the kind there, no images in it, or a zip that holds a name twice.
    """
    text = str(source)
    if text.startswith("hf:"):
        from vitjax.data.parquet import open_hub  # huggingface-hub takes a fifth of a second, for hub data sets only

        return open_hub(text, split)
    path = Path(text).expanduser()
    if path.suffix == ".parquet" or (path.is_dir() and any(path.rglob("*.parquet"))):
        from vitjax.data.parquet import open_files

        return open_files(path, split)
    if split is not None:
        raise InputError(f"split={split!r} has no meaning for {path}: only parquet data sets have splits")
    if path.is_dir():
        files = [file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file()]
        return _listed(text, files, _Folder(path))
    if zipfile.is_zipfile(path):
        archive = _Zip(path)
        twice = [name for name, count in Counter(archive.file.namelist()).items() if count > 1]
        if twice:
            raise InputError(f"{path} holds {twice[0]} {'and others ' if twice[1:] else ''}twice: which one is meant?")
        return _listed(text, archive.file.namelist(), archive)
    raise InputError(
        f"{path} is neither a folder, a zip nor a parquet file" if path.exists() else f"{path} does not exist"
    )


def _listed(source: str, files: Sequence[str], reader: Callable[[str], bytes]) -> Images:
    seen = [name for name in files if not any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(name).parts)]
    names = tuple(sorted(name for name in seen if PurePosixPath(name).suffix.lower() in ENDINGS))
    if not names:
        raise InputError(f"no images in {source}: looked for {', '.join(sorted(ENDINGS))}")
    texts = {name: reader(name).decode(errors="replace") for name in sorted(seen) if name.endswith(".txt")}
    return Images(source, names, _Named(reader, names), texts)


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
        """The open archive, of this process."""
        return zipfile.ZipFile(self.path)

    def __call__(self, name: str) -> bytes:
        return self.file.read(name)

    def __getstate__(self):
        return {"path": self.path}
