"""Lists the sizes and checksums of an exported atlas's files, and finds what has gone wrong with them since.

The list lies among them as `checksums.json`. It is sealed, so damage to it is not taken for damage to the files.
"""

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

from vitjax.atlas.store.sealed import seal, unseal
from vitjax.errors import InputError
from vitjax.files import open_regular, read_bytes

KEY = "checksums.json"
LARGEST = 2**28  # bytes of the list: 2 million files
README = "README.md"  # lies beside them in what was fetched from the hub

Sums = Mapping[str, tuple[int, str]]  # {file: (bytes, sha256)}; files as from the folder, with "/"


@dataclass(frozen=True)
class _List:
    """The file of the list."""

    files: dict[str, tuple[int, str]]


@dataclass(frozen=True)
class Flaw:
    """A file of an exported atlas, and what is wrong with it, in a few words."""

    file: str
    what: str


def listed(sums: Sums) -> bytes:
    """Writes the list."""
    return seal(asdict(_List(dict(sorted(sums.items())))))


def of_bytes(data: bytes) -> tuple[int, str]:
    """Measures the size and the sha256 of a file with these bytes."""
    return len(data), hashlib.sha256(data).hexdigest()


def of_file(path: str | os.PathLike[str]) -> tuple[int, str]:
    """Measures the size and the sha256 of a file; raises InputError where it cannot be read."""
    with open_regular(path) as file:
        try:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise InputError(f"cannot read {os.fspath(path)}: {error.strerror or error}") from None
        return file.tell(), digest


def read(folder: Path) -> dict[str, tuple[int, str]]:
    """Reads the list of a folder.

    Raises:
        InputError: there is none, as in exports of older versions, or it is damaged.
    """
    return unseal(read_bytes(folder / KEY, LARGEST), str(folder / KEY), _List).files


def flaws(folder: Path, *, bytes: bool = True) -> Iterator[Flaw | None]:
    """Holds a folder against its list: a flaw for each file that is damaged, missing or not on it, None for the rest.

    Args:
        folder: an exported atlas.
        bytes: whether to read the files; without, only that they are there and their sizes are looked at.
    """
    try:
        sums = read(folder)
    except InputError:
        missing = not (folder / KEY).exists()
        yield Flaw(KEY, "missing, as in exports of older versions: nothing can be checked" if missing else "damaged")
        return
    for name, sum in sums.items():
        what = _wrong(folder, name, sum, bytes)
        yield Flaw(name, what) if what else None
    known = {*sums, KEY, README}
    yield from (Flaw(name, "not part of the page") for name in _files(folder) if name not in known)


def _wrong(folder: Path, name: str, sum: tuple[int, str], bytes: bool) -> str | None:
    """Says what is wrong with a file that is listed, or None."""
    if not inside(name):
        return "no name of a file of the page"
    try:
        found = (folder / name).lstat()
    except (OSError, ValueError):
        return "missing"
    if not stat.S_ISREG(found.st_mode):
        return "no regular file"
    if found.st_size != sum[0]:
        return f"{found.st_size:,} bytes in place of {sum[0]:,}"
    try:
        return "damaged" if bytes and of_file(folder / name) != sum else None
    except InputError as error:
        return str(error)


def inside(name: str) -> bool:
    """Tells whether a name stays in the folder it is taken from."""
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts


def _files(folder: Path) -> Iterator[str]:
    """Lists all files of a folder but hidden ones; a link to a folder counts as a file."""
    for place, folders, files in os.walk(folder):
        below = Path(place).relative_to(folder)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        links = [name for name in folders if (Path(place) / name).is_symlink()]
        for name in sorted([*files, *links]):
            if not name.startswith("."):
                yield (below / name).as_posix()
