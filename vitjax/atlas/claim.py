"""A store and a part of its work in, the right to do that part out: two processes never do the same one by mistake.

In a local folder the right is a lock that ends with the process, however it ends. Elsewhere it is a note with a time,
renewed while the process works; one that was not renewed for `STALE` seconds may be taken over.
"""

import json
import os
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread

from filelock import FileLock, Timeout

from vitjax.atlas.store import Store
from vitjax.errors import InputError

STALE, RENEWED = 300.0, 60.0  # seconds


class Held(InputError):
    """Another process is at work on that part."""


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
    path = store.folder / f".lock-{part}"
    try:
        store.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path)
        lock.acquire(timeout=0)
    except Timeout:
        raise _held(store, part, "another process") from None
    except OSError as error:
        raise InputError(f"cannot write to the folder {store.folder}: {error.strerror or error}") from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _noted(store: Store, part: str) -> Iterator[None]:
    key, me = f"claims/{part}.json", uuid.uuid4().hex
    held = store.read_json(key)
    if held and time.time() - held["renewed"] < STALE:
        since = round(time.time() - held["renewed"])
        raise _held(store, part, f"process {held['process']} on {held['host']} (seen {since} s ago)")
    note = {"owner": me, "host": socket.gethostname(), "process": os.getpid()}
    renew = lambda: store.write(key, json.dumps(note | {"renewed": time.time()}).encode())
    renew()
    time.sleep(1.0)  # if two came at once, the later note stands
    if (store.read_json(key) or {}).get("owner") != me:
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
        if (store.read_json(key) or {}).get("owner") == me:
            store.delete(key)
