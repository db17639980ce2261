"""Keeps converted weights on disk, which the next load of the same file reads in place of it.

One folder (see `vitjax.weights.formats.orbax_folder`) per weights file and config, `SHA256-CONFIG`. A cache that cannot
be read or written costs a remark, never the model.
"""

import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

import jax
import numpy as np

from vitjax.errors import InputError, remark
from vitjax.files import write_whole
from vitjax.models.registry import Config
from vitjax.weights.formats import orbax_folder as folders

CONVERTER = 2  # raise it when the arrays that a conversion gives change: older entries are then made anew

GAINED = frozenset({"joins"})  # fields of configs

_RECENT = 2 * 10**9  # ns: a file this young may change again within one tick of its clock
_PLATFORMS = {"darwin": "~/Library/Caches", "win32": "~/AppData/Local"}


@dataclass(frozen=True)
class Key:
    """What an entry is made of: the weights file by its sha256 and the config it was read with."""

    sha256: str
    config: Config

    @property
    def folder(self) -> Path:
        """Where the entry stands, or will."""
        config = hashlib.sha256(json.dumps(described(self.config), sort_keys=True).encode()).hexdigest()
        return root() / f"{self.sha256}-{config[:8]}"

    def contents(self) -> dict[str, Any]:
        """What `provenance.json` must say for the entry to be this one."""
        return {"converter": CONVERTER, "sha256": self.sha256, "config": described(self.config)}


def described(config: Config) -> dict[str, Any]:
    """Writes a config as JSON has it, lists for tuples.

    A field that configs have gained since they were first written is left out where it says nothing new, so that what
    was kept before is still known by the same words.
    """
    gained = {part.name: part.default for part in fields(config) if part.name in GAINED}
    values = {name: value for name, value in asdict(config).items() if name not in gained or value != gained[name]}
    return json.loads(json.dumps(values))


def rebuilt(kind: type, values: Mapping[str, Any]) -> Any:
    """Makes a config of what `described` wrote: lists are tuples, objects the dataclass that the field's type names."""
    hints, given = get_type_hints(kind), {}
    for name, value in values.items():
        if isinstance(value, dict):
            kinds = (hints[name], *get_args(hints[name]))
            value = rebuilt(next(one for one in kinds if is_dataclass(one)), value)
        elif is_dataclass(hints[name]):
            raise TypeError(f"{name} is {value!r}, it must be an object")
        given[name] = _frozen(value)
    return kind(**given)


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def root() -> Path:
    """Finds the cache's folder: VITJAX_CACHE, else `vitjax` in XDG_CACHE_HOME or the platform's folder for caches."""
    if own := os.environ.get("VITJAX_CACHE"):
        return Path(own).expanduser()
    shared = os.environ.get("XDG_CACHE_HOME") or _PLATFORMS.get(sys.platform, "~/.cache")
    return Path(shared).expanduser() / "vitjax"


def joint_digest(digests: Sequence[str]) -> str:
    """Gives one digest for the files of a checkpoint: that of the only file, or the sha256 of all their digests."""
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def digest(path: Path, remember: bool = True) -> str:
    """Takes the sha256 of a file, 64 hexadecimal digits; with `remember` it is read again only when it changes."""
    memory, stat = root() / "sha256.json", path.stat()
    name, state = str(path.resolve()), [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]
    known = folders.read_json(memory) if remember else {}
    if known.get(name, [None])[:-1] == state:
        return known[name][-1]
    with open(path, "rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    if remember and time.time_ns() - max(state[1:]) > _RECENT:
        with suppress(InputError):  # a cache that cannot be written is said by `store`
            write_whole(memory, json.dumps(known | {name: [*state, sha256]}).encode())
    return sha256


def restore(key: Key, wanted: Mapping[str, jax.ShapeDtypeStruct]) -> dict[str, np.ndarray] | None:
    """Reads an entry into host memory; None if there is none, or only one that has to be made anew.

    Args:
        key: of the entry.
        wanted: {dotted name: shape and dtype}.
    """
    if not folders.is_whole(key.folder, key.contents()) or folders.lacks(key.folder, wanted):
        return None
    try:
        return folders.read(key.folder, wanted)
    except Exception as error:  # TensorStore raises as it pleases; any of it means the entry is no good
        remark(f"the cached weights {key.folder} are damaged and made anew ({_line(error)})")
        shutil.rmtree(key.folder, ignore_errors=True)
        return None


def store(key: Key, arrays: Mapping[str, np.ndarray], origin: Mapping[str, str]) -> None:
    """Keeps converted weights for the next load; if that cannot be done, says so.

    Args:
        key: of the entry.
        arrays: {dotted name: array}.
        origin: more to say in `provenance.json`, such as the repository and its revision.
    """
    try:
        folders.write(key.folder, key.contents(), origin, arrays)
    except Exception as error:  # a full disk reaches us as whatever TensorStore makes of it
        remark(f"the cache {root()} cannot be written, going on without it ({_line(error)})")


def _line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__
