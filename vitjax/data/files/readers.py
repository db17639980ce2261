"""Reads the files of a folder or a zip by name: regular ones of a sane size, whole or a little of each."""

import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Generic, TypeVar

from vitjax.data.files.paths import plain
from vitjax.errors import InputError
from vitjax.files import open_regular, read_bytes

T = TypeVar("T")
LARGEST = 2**28  # bytes of an image file
PEEKED = 4096  # bytes that tell one image file from another of the same size


@dataclass(frozen=True)
class Folder:
    """The files below a folder, by their paths from there."""

    path: Path

    def __call__(self, name: str) -> bytes:
        """The bytes of a file; InputError where it is none, cannot be read or is larger than `LARGEST`."""
        return read_bytes(self.path / name, LARGEST)

    def peek(self, name: str) -> bytes:
        """A file's size and its first bytes; errors as above."""
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
        """The names of all members but folders, also those that are there twice."""
        return [plain(member.filename) for member in self._files()]

    def _files(self) -> list[zipfile.ZipInfo]:
        return [member for member in self.file.infolist() if not member.filename.endswith(("/", "\\"))]

    def __call__(self, name: str) -> bytes:
        """The bytes of a member; InputError where it is damaged or larger than `LARGEST`."""
        if (size := self.members[name].file_size) > LARGEST:
            raise InputError(f"{size:,} bytes in the zip, more than the {LARGEST:,} that are read")
        return self._read(name, size + 1)  # what the archive says is not taken on trust: zipfile then notices

    def peek(self, name: str) -> bytes:
        """A member's size and its first bytes; errors as above."""
        return b"%d " % self.members[name].file_size + self._read(name, PEEKED)

    def crc(self, name: str) -> int:
        """The CRC-32 of a member's bytes, as the archive states it; reading a member holds it against them."""
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
        """What the function gives for the file at this place."""
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
