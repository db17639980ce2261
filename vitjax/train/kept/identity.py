"""Says which training a folder holds, `training.json`, and refuses to go on with another one, or twice, in it."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from vitjax.errors import InputError
from vitjax.files import make_folder, read_json, write_whole
from vitjax.train.settings import Settings
from vitjax.weights.formats.names import RUN

LOCK = ".lock"


def agree(folder: Path, about: Mapping[str, Any], write: bool = True) -> None:
    """Begins a run in a folder, or sees that the one in it is this one.

    Args:
        folder: made if it is not there.
        about: all that decides what is learned, as JSON has it.
        write: whether this process may write.

    Raises:
        InputError: the folder holds a run with other settings, each named, or something else.
    """
    path = make_folder(folder) / RUN
    if path.exists():
        there = read_json(path)
        if isinstance(settings := there.get("settings"), dict):  # which may be older than some of them
            there["settings"] = asdict(Settings()) | settings
        differing = list(_differing(about, there))
        if differing:
            raise InputError(f"{folder} holds a training with {'; '.join(differing[:4])}: choose another --out")
    elif write:
        if any(folder.iterdir()):
            raise InputError(f"{folder} is there and holds no training: choose another --out")
        write_whole(path, (json.dumps(about, indent=1) + "\n").encode())


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Holds the folder of a run while the body runs.

    Raises:
        InputError: another process holds it.
    """
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise InputError(f"another process is training in {folder}: wait for it, or choose another --out") from None
    try:
        yield
    finally:
        lock.release()


def _differing(ours: Any, theirs: Any, name: str = "") -> Iterator[str]:
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        for key in dict.fromkeys((*theirs, *ours)):
            yield from _differing(ours.get(key), theirs.get(key), f"{name}.{key}" if name else key)
    elif json.loads(json.dumps(ours)) != theirs:
        yield f"{name} {json.dumps(theirs)}, not {json.dumps(ours)}"
