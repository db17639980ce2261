"""Finds the files of a folder or a zip and reads them by name: regular ones of a sane size, whole or in part."""

import os
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Generic, TypeVar

from vitjax.data.files.paths import plain
from vitjax.errors import InputError, nearest
from vitjax.files import open_regular, read_bytes

T = TypeVar("T")
LARGEST = 2**28  # bytes of an image file
PEEKED = 4096  # bytes that tell one image file from another of the same size


def given(path: str | os.PathLike[str], what: str) -> Path:
    """Takes a path as a user gave it, with the home folder in place of `~`.

    Args:
        path: the user's.
        what: what it says the place of, for messages.

    Raises:
        InputError: it is no path, or empty, as of a variable that was never set: that is not taken for the current
            folder; or it begins with the name of a user who has no home here.
    """
    if not isinstance(path, str | os.PathLike):
        raise InputError(f"the path of the {what} is of type {type(path).__name__}, not a text")
    if not os.fspath(path):
        raise InputError(f"the path of the {what} is empty; write . for the current folder")
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise InputError(f"{path} does not exist: there is no such user") from None


def existing(path: str | os.PathLike[str], what: str) -> Path:
    """Takes the path of something that is there, as a user gave it; arguments and errors as of `given`.

    Raises:
        InputError: there is nothing, with what is nearest beside it, or it may not be looked at.
    """
    path = given(path, what)
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        beside = os.listdir(path.parent) if os.access(path.parent, os.R_OK) and path.parent.is_dir() else ()
        raise InputError(f"{path} does not exist{nearest(path.name, beside)}") from None
    except (OSError, ValueError) as error:  # ValueError: a name with a null byte
        raise InputError(f"cannot open {path}: {getattr(error, 'strerror', None) or error}") from None
    return path


def walk(root: Path) -> Iterator[str]:
    """Lists the files below a folder, as paths from there; linked folders are entered, each once."""
    entered = set()
    for here, below, files in os.walk(root, followlinks=True):
        if (real := os.path.realpath(here)) in entered:
            below.clear()
            continue
        entered.add(real)
        below[:] = sorted(name for name in below if not hidden(name))
        start = Path(here).relative_to(root).as_posix()
        yield from (name if start == "." else f"{start}/{name}" for name in files if not hidden(name))


def hidden(name: str) -> bool:
    """Says whether a file is a system's own: it or a folder above it begins with a dot, or is called `__MACOSX`."""
    return any((part.startswith(".") and part != ".") or part == "__MACOSX" for part in name.split("/"))


@dataclass(frozen=True)
class Folder:
    """The files below a folder, by their paths from there."""

    path: Path

    def __call__(self, name: str) -> bytes:
        """Reads the bytes of a file; InputError where it is none, cannot be read or is larger than `LARGEST`."""
        return read_bytes(self.path / name, LARGEST)

    def peek(self, name: str) -> bytes:
        """Reads a file's size and its first bytes; errors as above."""
        with open_regular(self.path / name) as file:
            size = file.seek(0, 2)
            file.seek(0)
            return b"%d " % size + file.read(PEEKED)


@dataclass(frozen=True)
class Zip:
    """The members of a zip, by their names as `plain` gives them."""

    path: Path

    @cached_property
    def file(self) -> zipfile.ZipFile:
        """The open archive, of this process; it may be read from any thread."""
        try:
            return zipfile.ZipFile(self.path)
        except Exception as error:  # as below
            raise InputError(f"{self.path} is not a readable zip: {error}") from None

    @cached_property
    def members(self) -> Mapping[str, zipfile.ZipInfo]:
        """What the archive holds but folders."""
        return {plain(member.filename): member for member in self._files()}

    def names(self) -> list[str]:
        """Lists the names of all members but folders, also those that are there twice."""
        return [plain(member.filename) for member in self._files()]

    def _files(self) -> list[zipfile.ZipInfo]:
        return [member for member in self.file.infolist() if not member.filename.endswith(("/", "\\"))]

    def __call__(self, name: str) -> bytes:
        """Reads the bytes of a member; InputError where it is damaged or larger than `LARGEST`."""
        if (size := self.members[name].file_size) > LARGEST:
            raise InputError(f"{size:,} bytes in the zip, more than the {LARGEST:,} that are read")
        return self._read(name, size + 1)  # what the archive says is not taken on trust: zipfile then notices

    def peek(self, name: str) -> bytes:
        """Reads a member's size and its first bytes; errors as above."""
        return b"%d " % self.members[name].file_size + self._read(name, PEEKED)

    def crc(self, name: str) -> int:
        """Looks up the CRC-32 of a member's bytes, as the archive states it; reading a member holds it against them."""
        return self.members[name].CRC

    def _read(self, name: str, most: int) -> bytes:
        try:
            with self.file.open(self.members[name]) as member:
                return member.read(most)
        except Exception as error:  # a damaged archive fails in as many ways as there are kinds of compression
            raise InputError(f"not readable from the zip: {error or type(error).__name__}") from None

    def __getstate__(self):
        return {"path": self.path}


@dataclass(frozen=True)
class Named(Generic[T]):
    """A reader's function of a file's name, as one of its place in a list."""

    read: Callable[[str], T]
    names: tuple[str, ...]

    def __call__(self, place: int) -> T:
        """Gives what the function gives for the file at this place."""
        return self.read(self.names[place])


@dataclass(frozen=True, eq=False)
class Texts(Mapping[str, str]):
    """Text files, {name: text}; each is read when it is asked for."""

    reader: Folder | Zip
    names: Mapping[str, str]  # as the reader calls them

    def __getitem__(self, name: str) -> str:
        return self.reader(self.names[name]).decode(errors="replace")

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)
