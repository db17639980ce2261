"""What the user named as data in, a fixed list of images out, each read by its place.

A folder, a zip, parquet files, or a data set on the hub: `Images` looks the same whichever it is.
"""

import os
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from vitjax.data.files.readers import Folder, Named, Texts, Zip
from vitjax.errors import InputError, nearest
from vitjax.files import legible, open_regular
from vitjax.ranges import COUNT

MASK = "_mask"  # ends the name of a mask that stands beside its image
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
        read, peek, crc = (one and _Places(one, places) for one in (self.read, self.peek, self.crc))
        return replace(self, names=names, read=read, column=column, peek=peek, crc=crc)


def folder(name: str) -> str:
    """The path of the folder that holds an image directly, "" for none."""
    return name.rpartition("/")[0]


def folders(names: Iterable[str]) -> tuple[str, ...]:
    """The paths of all folders that hold these images directly, sorted."""
    return tuple(sorted({folder(name) for name in names}))


def open_images(source: str | Path | Sequence[Any], split: str | None = None, *, masks: bool = False) -> Images:
    """Opens a data set; looks at names (of a table: at its small columns) alone, no image is read.

    Images are the files with an ending that `formats.endings` knows. Left out are files whose name, or whose folder's,
    begins with a dot, the `__MACOSX` of zips, and, named in `left_out`, images of other kinds and masks beside images
    (`NAME_mask.png` beside `NAME.jpg`).

    Args:
        source: a folder (with all its folders) or a zip of image files, or one image file; a .parquet file or a folder
            of them; or a hub data set, `hf://datasets/OWNER/NAME`, with `@REVISION` where the newest is not meant; or
            images that lie in memory, as `vitjax.data.files.arrays.in_memory` takes them.
        split: which part of a parquet data set, e.g. "validation".
        masks: masks beside images are images, too.

    Raises:
        InputError: nothing of the kind there, no images in it, or a zip that holds a name twice.
    """
    if not isinstance(source, str | os.PathLike):
        from vitjax.data.files.arrays import in_memory

        if split is not None:
            raise InputError(f"split={split!r} has no meaning for images in memory: only parquet data sets have splits")
        return in_memory(source)
    text = str(source)
    if text.startswith("hf:"):
        from vitjax.data.files.hub import open_hub  # huggingface-hub takes a fifth of a second, for hub data sets only

        return open_hub(text, split)
    path = Path(text).expanduser()
    files = list(walk(path)) if path.is_dir() else []
    if path.exists() and not path.is_dir():
        open_regular(path).close()
    if path.suffix == ".parquet" or any(name.endswith(".parquet") for name in files):
        from vitjax.data.files.parquet import open_files

        return open_files(path, split)
    if split is not None:
        raise InputError(f"split={split!r} has no meaning for {path}: only parquet data sets have splits")
    if path.is_dir():
        return _listed(text, files, Folder(path), masks)
    if not path.exists():
        raise InputError(missing(path))
    from vitjax.data.files.formats import endings, left_out  # all of Pillow's plugins, a tenth of a second

    if (ending := path.suffix.lower()) in endings() or ending in left_out():
        return _listed(text, [path.name], Folder(path.parent), masks)
    if not zipfile.is_zipfile(path):
        raise InputError(f"{path} is neither an image, a folder, a zip nor a parquet file")
    archive = Zip(path)
    return _listed(text, [name for name in archive.names() if not _hidden(name)], archive, masks)


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


def _listed(source: str, files: Sequence[str], reader: Folder | Zip, masks: bool) -> Images:
    """The images among files; a name that is no UTF-8 is given with escapes and read as what it is."""
    from vitjax.data.files.formats import endings, left_out  # see above

    if twice := [name for name, count in Counter(map(legible, files)).items() if count > 1]:
        raise InputError(f"{source} holds {twice[0]} {'and others ' if twice[1:] else ''}twice: which one is meant?")
    real = {legible(name): name for name in sorted(files)}
    parts = {name: os.path.splitext(name) for name in real}
    names = [name for name, (_, ending) in parts.items() if ending.lower() in endings()]
    left = {name: why for name, (_, ending) in parts.items() if (why := left_out().get(ending.lower()))}
    stems = {parts[name][0] for name in names}
    beside = {name for name in names if parts[name][0].endswith(MASK) and parts[name][0].removesuffix(MASK) in stems}
    if not masks and beside:
        names = [name for name in names if name not in beside]
        left |= dict.fromkeys(sorted(beside), "the mask of an image beside it")
    if not names:
        example = next((f" ({name}: {why})" for name, why in left.items()), "")
        raise InputError(f"no images in {source}{example}: looked for .jpg, .png and {len(endings()) - 2} more")
    held = tuple(real[name] for name in names)
    texts = Texts(reader, {name: real[name] for name in real if name.endswith(".txt")})
    return Images(
        source,
        tuple(names),
        Named(reader, held),
        texts,
        folders=folders(names),
        peek=Named(reader.peek, held),
        crc=Named(reader.crc, held) if isinstance(reader, Zip) else None,
        left_out=left,
    )


@dataclass(frozen=True, eq=False)
class _Places(Generic[T]):
    read: Callable[[int], T]
    places: np.ndarray

    def __call__(self, place: int) -> T:
        return self.read(int(self.places[place]))
