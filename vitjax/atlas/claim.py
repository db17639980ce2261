"""A store and a part of the work in, the right to do that part out: two processes never do the same one by mistake.

In a local folder the right is a lock that ends with the process, however it ends. Elsewhere it is a note with a time,
renewed while the process works; one that was not renewed for `STALE` seconds may be taken over.
"""

import json
import os
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

from filelock import FileLock, Timeout

from vitjax.atlas.store import Store
from vitjax.errors import InputError

STALE, RENEWED = 300.0, 60.0  # seconds


@contextmanager
def claimed(store: Store, shard: tuple[int, int]) -> Iterator[None]:
    """Holds a part of the work while the body runs.

    Raises:
        InputError: another process holds it.
    """
    with _locked(store, shard) if store.folder else _noted(store, shard):
        yield


def _refusal(store: Store, shard: tuple[int, int], holder: str) -> InputError:
    part = "this atlas" if shard[1] == 1 else f"part {shard[0]} of {shard[1]} of this atlas"
    return InputError(f"{holder} is at work on {part} in {store.address}; to share the work give each --shard I/N")


@contextmanager
def _locked(store: Store, shard: tuple[int, int]) -> Iterator[None]:
    path = store.folder / f".lock-{shard[0]}-of-{shard[1]}"
    try:
        store.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path)
        lock.acquire(timeout=0)
    except Timeout:
        raise _refusal(store, shard, "another process") from None
    except OSError as error:
        raise InputError(f"cannot write to the folder {store.folder}: {error.strerror or error}") from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _noted(store: Store, shard: tuple[int, int]) -> Iterator[None]:
    key, me = f"claims/{shard[0]}-of-{shard[1]}.json", uuid.uuid4().hex
    held = store.read_json(key)
    if held and time.time() - held["renewed"] < STALE:
        since = round(time.time() - held["renewed"])
        raise _refusal(store, shard, f"process {held['process']} on {held['host']} (seen {since} s ago)")
    note = {"owner": me, "host": socket.gethostname(), "process": os.getpid()}
    renew = lambda: store.write(key, json.dumps(note | {"renewed": time.time()}).encode())
    renew()
    time.sleep(1.0)  # if two came at once, the later note stands
    if store.read_json(key)["owner"] != me:
        raise _refusal(store, shard, "another process that began at the same moment")
    over = Event()

    def keep() -> None:
        while not over.wait(RENEWED):
            renew()

    thread = Thread(target=keep, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        store.delete(key)
