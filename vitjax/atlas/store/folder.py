"""Writes an exported atlas as a whole: its folder appears, or is replaced, when all files are written."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from vitjax.atlas.store import checksums
from vitjax.errors import InputError
from vitjax.files import writing

MARK, MARK_BEGINS = "data/atlas.js", b'vitjax.receive("atlas", {"schema":'  # by these an exported atlas is known


@dataclass(eq=False)
class Folder:
    """A folder that is being written, from several threads.

    Attributes:
        path: where it is written.
        shown: where it will be, for messages.
        sums: {file: (bytes, sha256)} of what was written so far.
    """

    path: Path
    shown: Path
    sums: dict[str, tuple[int, str]] = field(default_factory=dict, repr=False)
    _made: set[Path] = field(default_factory=set, repr=False)

    def write(self, name: str, data: bytes) -> None:
        """Writes a file, and its folder if need be.

        Raises:
            InputError: it cannot be written: the disk is full, or read-only, …
        """
        path = self.path / name
        with writing(self.shown):
            if path.parent not in self._made:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._made.add(path.parent)
            path.write_bytes(data)
        self.sums[name] = checksums.of_bytes(data)

    @property
    def bytes(self) -> int:
        """The size of what was written so far."""
        return sum(size for size, _ in self.sums.values())


@contextmanager
def whole(out: str | Path, overwrite: bool = False) -> Iterator[Folder]:
    """Gives a folder to write into, beside `out` under a hidden name, which becomes `out` when the body ends well.

    A process that is killed leaves `out` as it was and its hidden folder, which the next one for `out` removes. An
    older export is set aside, not removed, before the new one takes its place.

    Raises:
        InputError: `out` is an export already and is not to be overwritten, or is something else; another process is
            writing it; the place cannot be written to.
    """
    out = Path(out).expanduser().resolve()
    hidden = out.with_name(f".{out.name}.partial")
    old, new = hidden / "old", hidden / "new"
    check_free(out, overwrite)
    with writing(out):
        hidden.mkdir(parents=True, exist_ok=True)
        lock = FileLock(hidden / "lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise InputError(f"another process is writing {out}: wait for it, or choose another folder") from None
    try:
        with writing(out):
            if old.exists() and not out.exists():  # a kill between the two renames below
                old.rename(out)
            for left in (old, new):
                if left.exists():
                    shutil.rmtree(left)
            new.mkdir()
        yield Folder(new, out)
        check_free(out, overwrite)  # it may have come to be meanwhile
        with writing(out):
            if out.exists():
                out.rename(old)
            try:
                new.rename(out)
            except OSError:
                if old.exists():
                    old.rename(out)
                raise
    finally:
        shutil.rmtree(hidden, ignore_errors=True)
        lock.release()


def check_free(out: Path, overwrite: bool) -> None:
    """Raises an InputError unless `out` is free, an empty folder, or an exported atlas that may be overwritten."""
    with writing(out):
        if not out.exists() or (out.is_dir() and not any(out.iterdir())):
            return
    if not is_export(out):
        raise InputError(f"{out} exists and is no exported atlas: choose another folder, or remove it")
    if not overwrite:
        raise InputError(f"{out} is an exported atlas already: overwrite it, or choose another folder")


def is_export(folder: Path) -> bool:
    """Tells whether a folder is an exported atlas, be it damaged: by its mark, or by its list of checksums."""
    with suppress(OSError), open(folder / MARK, "rb") as file:
        if file.read(len(MARK_BEGINS)) == MARK_BEGINS:
            return True
    try:
        return MARK in checksums.read(folder)
    except InputError:
        return False
