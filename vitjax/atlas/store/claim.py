"""Claims a part of the work on a store: two processes never do the same one by mistake.

In a local folder the right is a lock that ends with the process, however it ends. Elsewhere it is a note with a time,
renewed while the process works; one that was not renewed for `STALE` seconds may be taken over.
"""

import os
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from threading import Event, Thread

from filelock import FileLock, Timeout

from vitjax.atlas.store.sealed import unseal
from vitjax.atlas.store.store import Store
from vitjax.errors import InputError
from vitjax.files import make_folder, writing

STALE, RENEWED = 300.0, 60.0  # seconds


class Held(InputError):
    """Another process is at work on that part."""


@dataclass(frozen=True)
class _Note:
    """Who holds a part, and when that was last said, in seconds since 1970."""

    owner: str
    host: str
    process: int
    renewed: float = 0.0


@contextmanager
def claimed(store: Store, part: str) -> Iterator[None]:
    """Holds a part of the work, such as "0-of-2", while the body runs.

    Raises:
        Held: another process holds it.
    """
    with _locked(store, part) if store.folder else _noted(store, part):
        yield


def _held(store: Store, part: str, holder: str) -> Held:
    what = "this atlas" if part == "0-of-1" else f"the part {part} of this atlas"
    return Held(f"{holder} is at work on {what} in {store.address}; to share the work give each --shard I/N")


@contextmanager
def _locked(store: Store, part: str) -> Iterator[None]:
    with writing(store.folder):
        lock = FileLock(make_folder(store.folder) / f".lock-{part}")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise _held(store, part, "another process") from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _noted(store: Store, part: str) -> Iterator[None]:
    key, me = f"claims/{part}.json", uuid.uuid4().hex
    held = _read(store, key)
    if held and abs(since := time.time() - held.renewed) < STALE:
        raise _held(store, part, f"process {held.process} on {held.host} (seen {since:.0f} s ago)")
    note = _Note(me, socket.gethostname(), os.getpid())
    renew = lambda: store.write_json(key, asdict(replace(note, renewed=time.time())))
    renew()
    time.sleep(1.0)  # if two came at once, the later note stands
    if (held := _read(store, key)) is None or held.owner != me:
        raise _held(store, part, "another process that began at the same moment")
    over = Event()

    def keep() -> None:
        while not over.wait(RENEWED):
            with suppress(InputError):  # a store that cannot be reached for a moment
                renew()

    thread = Thread(target=keep, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        if (held := _read(store, key)) and held.owner == me:
            store.delete(key)


def _read(store: Store, key: str) -> _Note | None:
    """Reads a note; one that is damaged is none, as its owner, if there still is one, soon writes it again."""
    if (data := store.read(key)) is None:
        return None
    try:
        return unseal(data, key, _Note)
    except InputError:
        return None
