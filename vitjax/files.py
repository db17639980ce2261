"""Reads regular files of a sane size and JSON of a stated type, writes files whole or not at all; one-line errors."""

import errno
import json
import os
import shutil
import stat
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from vitjax.errors import InputError

T = TypeVar("T")
LARGEST_JSON = 2**25  # bytes; a config with 21,841 class names takes 2 million
_FULL = {errno.ENOSPC, errno.EDQUOT}


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Opens a regular file for reading; a pipe is never waited for, a device never read.

    Raises:
        InputError: it is not there, may not be read, or is a folder, pipe, socket or device.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        if stat.S_ISREG(mode := os.fstat(descriptor).st_mode):
            return os.fdopen(descriptor, "rb")
        os.close(descriptor)
        what = "a folder" if stat.S_ISDIR(mode) else "a pipe, socket or device"
    except IsADirectoryError:
        what = "a folder"
    except (OSError, ValueError) as error:  # ValueError: a name with a null byte
        raise InputError(f"cannot read {os.fspath(path)}: {getattr(error, 'strerror', None) or error}") from None
    raise InputError(f"{os.fspath(path)} is {what}, not a file")


def read_bytes(path: str | os.PathLike[str], largest: int = LARGEST_JSON) -> bytes:
    """Reads a regular file of at most `largest` bytes.

    Raises:
        InputError: as `open_regular`, or the file is larger: nothing of it has been read then.
    """
    with open_regular(path) as file:
        if (size := os.fstat(file.fileno()).st_size) > largest:
            raise InputError(
                f"{os.fspath(path)} has {size:,} bytes, more than the {largest:,} that such a file may have"
            )
        return file.read(largest)


def parse_json(data: bytes | str, where: str, kind: type[T] = dict[str, Any]) -> T:
    """What JSON says, held against a type.

    Args:
        data: the JSON, in UTF-8.
        where: how messages call it, e.g. its path.
        kind: what it must be: `dict[str, Any]`, `list[str]`, a dataclass, … A dataclass is filled, fields that it does
            not know are left out.

    Raises:
        InputError: no JSON, nested too deeply, or of another type: the message says where in it.
    """
    try:
        value = json.loads(data)
    except RecursionError:
        raise InputError(f"{where} is not readable as JSON: it is nested too deeply") from None
    except (ValueError, TypeError) as error:
        raise InputError(f"{where} is not valid JSON: {error}") from None
    return held(value, where, kind)


def held(value: Any, where: str, kind: type[T]) -> T:
    """A value out of JSON held against a type: see `parse_json`, whose second half this is."""
    import msgspec

    try:
        return msgspec.convert(value, kind)
    except (msgspec.ValidationError, RecursionError) as error:
        raise InputError(f"{where} does not hold what it should: {error}") from None


def read_json(path: str | os.PathLike[str], kind: type[T] = dict[str, Any], largest: int = LARGEST_JSON) -> T:
    """What a JSON file says, held against a type: `read_bytes`, then `parse_json`, with their errors."""
    return parse_json(read_bytes(path, largest), os.fspath(path), kind)


def legible(name: str) -> str:
    """A name that can be written in UTF-8: its bytes that are none stand as escapes, `\\udcff` for 0xff."""
    return name.encode(errors="backslashreplace").decode()


def make_folder(path: str | os.PathLike[str]) -> Path:
    """Makes a folder and those above it, unless they are there.

    Raises:
        InputError: it cannot be made, or a file is in its place.
    """
    try:
        (path := Path(path)).mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise InputError(f"{path} is a file, not a folder") from None
    except (OSError, ValueError) as error:
        raise InputError(f"cannot make the folder {path}: {getattr(error, 'strerror', None) or error}") from None
    return path


@contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[None]:
    """Says in one line why a file or folder cannot be written, and how much is free where the disk is full.

    Raises:
        InputError: in place of any OSError of the body.
    """
    try:
        yield
    except (OSError, ValueError) as error:  # ValueError: a name with a null byte
        if isinstance(error, InputError):
            raise
        raise unwritten(path, error) from None


def unwritten(path: str | os.PathLike[str], error: BaseException) -> InputError:
    """Gives the line of `writing` for an error of whatever kind, as libraries raise them."""
    said = next(iter(str(error).splitlines()), "") or type(error).__name__
    reason = getattr(error, "strerror", None) or said
    free = f" ({_free(path):,.0f} MB free)" if getattr(error, "errno", None) in _FULL else ""
    return InputError(f"cannot write {os.fspath(path)}: {reason[:1].lower()}{reason[1:]}{free}")


def writable_folder(path: str | os.PathLike[str]) -> Path:
    """Makes a folder that can be written to, unless it is there: before long work whose results shall go into it.

    Raises:
        InputError: it cannot be made, or nothing can be written into it.
    """
    try:
        (path := Path(path)).mkdir(parents=True, exist_ok=True)
        probe = path / ".writable"
        probe.touch()
        probe.unlink(missing_ok=True)  # another process may probe it too
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"cannot write to the folder {path}: {reason}") from None
    return path


def write_whole(path: str | os.PathLike[str], data: bytes) -> None:
    """Writes a file so that a kill or a full disk leaves the old one or the new one, never a part; makes its folder.

    Raises:
        InputError: it cannot be written.
    """
    path = Path(path)
    write_files(path.parent, {path.name: data}, shown=path)


def write_files(
    folder: str | os.PathLike[str], contents: Mapping[str, bytes], shown: str | os.PathLike[str] | None = None
) -> None:
    """Writes files that belong together into a folder, made if need be: each whole, and none before all are on disk.

    Args:
        folder: where; what else is in it stays.
        contents: {name: bytes}.
        shown: what messages call the place; default the folder.

    Raises:
        InputError: one of them cannot be written; what was there is there still, unless putting them in place failed.
    """
    folder, partial = Path(folder), {}
    with writing(shown or folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            for name, data in contents.items():
                partial[name] = folder / f".{name[:200]}.{uuid.uuid4().hex[:12]}.part"
                partial[name].write_bytes(data)
            for name, written in partial.items():
                os.replace(written, folder / name)
        except BaseException:
            for written in partial.values():
                with suppress(OSError, ValueError):
                    written.unlink(missing_ok=True)
            raise


@contextmanager
def whole_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Gives a folder to write into, beside `path` under a hidden name, which becomes `path` when the body ends well.

    A folder or link that is there then is replaced; if the body removes what it was given, it stays. The disk's errors
    are handed on as they are: `writing` makes a line of them.
    """
    path = Path(path)
    partial = path.with_name(f".partial-{uuid.uuid4().hex}")
    try:
        partial.mkdir(parents=True)
        yield partial
        if partial.exists():
            shutil.rmtree(path, ignore_errors=True)
            os.rename(partial, path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _free(path: str | os.PathLike[str]) -> float:
    """Megabytes that are free where a path is or would be."""
    return shutil.disk_usage(next(above for above in Path(path).absolute().parents if above.is_dir())).free / 1e6
