"""Converted weights in, an Orbax checkpoint that the next load reads straight to its dtype and device.

One folder per weights file and config, `SHA256-CONFIG`, holding `provenance.json` (what it is, of which file, made by
what, and the size of each file of the checkpoint) and `arrays` (a flat dict of arrays by dotted name). It appears under
its name only when it is whole; a cache that cannot be read or written costs a warning, never the model.
"""

import hashlib
import json
import logging
import os
import shutil
import sys
import time
import uuid
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np

from vitjax import __version__
from vitjax.models.config import ViTConfig
from vitjax.weights import host

CONVERTER = 1  # raise it when the arrays that a conversion gives change: older entries are then made anew
PACKAGES = ("flax", "jax", "numpy", "orbax-checkpoint", "safetensors")

_RECENT = 2 * 10**9  # ns: a file this young may change again within one tick of its clock
_PLATFORMS = {"darwin": "~/Library/Caches", "win32": "~/AppData/Local"}


@dataclass(frozen=True)
class Key:
    """What an entry is made of: the weights file by its sha256 and the config it was read with."""

    sha256: str
    config: ViTConfig

    @property
    def folder(self) -> Path:
        """Where the entry stands, or will."""
        config = hashlib.sha256(json.dumps(asdict(self.config), sort_keys=True).encode()).hexdigest()
        return root() / f"{self.sha256}-{config[:8]}"

    def contents(self) -> dict[str, Any]:
        """What `provenance.json` must say for the entry to be this one."""
        return {"converter": CONVERTER, "sha256": self.sha256, "config": json.loads(json.dumps(asdict(self.config)))}


def root() -> Path:
    """The cache's folder: VITJAX_CACHE, else `vitjax` in XDG_CACHE_HOME or the platform's folder for caches."""
    if own := os.environ.get("VITJAX_CACHE"):
        return Path(own).expanduser()
    shared = os.environ.get("XDG_CACHE_HOME") or _PLATFORMS.get(sys.platform, "~/.cache")
    return Path(shared).expanduser() / "vitjax"


def joint_digest(digests: Sequence[str]) -> str:
    """One digest for the files of a checkpoint: that of the only file, or the sha256 of all their digests."""
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def digest(path: Path, remember: bool = True) -> str:
    """The sha256 of a file, 64 hexadecimal digits; with `remember` it is not read again until the file changes."""
    memory, stat = root() / "sha256.json", path.stat()
    name, state = str(path.resolve()), [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]
    known = (_json(memory) if remember else None) or {}
    if known.get(name, [None])[:-1] == state:
        return known[name][-1]
    with open(path, "rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    if remember and time.time_ns() - max(state[1:]) > _RECENT:
        _write_json(memory, known | {name: [*state, sha256]})
    return sha256


def restore(key: Key, wanted: Mapping[str, jax.ShapeDtypeStruct]) -> dict[str, np.ndarray] | None:
    """Reads an entry into host memory; None if there is none, or only one that has to be made anew.

    TensorStore reads the arrays of the checkpoint straight to where JAX can take them from, one at a time; Orbax would
    hold them twice.

    Args:
        key: of the entry.
        wanted: {dotted name: shape and dtype}.
    """
    if not _whole(key):
        return None
    largest_first = sorted(wanted, key=lambda name: -np.prod(wanted[name].shape))  # while there is most room for it
    try:
        return {name: _read(key.folder / "arrays" / name, wanted[name]) for name in largest_first}
    except Exception as error:  # TensorStore raises as it pleases; any of it means the entry is no good
        warnings.warn(f"the cached weights {key.folder} are damaged and made anew ({_line(error)})", stacklevel=3)
        shutil.rmtree(key.folder, ignore_errors=True)
        return None


def _read(folder: Path, want: jax.ShapeDtypeStruct) -> np.ndarray:
    import tensorstore

    array = host.empty(want.shape, want.dtype)
    if array.size:
        spec = {"driver": "zarr", "kvstore": {"driver": "file", "path": str(folder.absolute())}}
        stored = tensorstore.open(spec, open=True, read=True).result()
        tensorstore.array(array).write(tensorstore.cast(stored, want.dtype)).result()
    return array


def store(key: Key, arrays: Mapping[str, np.ndarray], origin: Mapping[str, str]) -> None:
    """Keeps converted weights for the next load; if that cannot be done, warns.

    Args:
        key: of the entry.
        arrays: {dotted name: array}.
        origin: more to say in `provenance.json`, such as the repository and its revision.
    """
    partial = key.folder.with_name(f".partial-{uuid.uuid4().hex}")
    try:
        partial.mkdir(parents=True)
        with _checkpointer() as (checkpointer, ocp):  # Orbax does not store empty arrays
            full = {name: array for name, array in arrays.items() if array.size}
            checkpointer.save(partial.absolute() / "arrays", args=ocp.args.PyTreeSave(full))
        packages = {"vitjax": __version__} | {name: version(name) for name in PACKAGES}
        made = {"origin": dict(origin), "packages": packages}
        provenance = {**key.contents(), **made, "files": _sizes(partial / "arrays")}
        (partial / "provenance.json").write_text(json.dumps(provenance, indent=2))
        if not _whole(key):  # else another process was faster
            shutil.rmtree(key.folder, ignore_errors=True)
            os.rename(partial, key.folder)
    except Exception as error:  # a full disk reaches us as whatever TensorStore makes of it
        warnings.warn(f"the cache {root()} cannot be written, going on without it ({_line(error)})", stacklevel=3)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _whole(key: Key) -> bool:
    """Whether an entry is there, of this version, with every file as long as it was when it was written."""
    provenance = _json(key.folder / "provenance.json") or {}
    same = all(provenance.get(name) == value for name, value in key.contents().items())
    return same and provenance.get("files") == _sizes(key.folder / "arrays")


def _sizes(folder: Path) -> dict[str, int]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}


@contextmanager
def _checkpointer() -> Iterator[tuple[Any, Any]]:
    """An Orbax checkpointer for this process alone: hosts that share no cache must not wait for each other."""
    import orbax.checkpoint as ocp  # a fifth of a second, and most loads do not need it

    me = jax.process_index()
    alone = ocp.options.MultiprocessingOptions(
        primary_host=None, active_processes={me}, barrier_sync_key_prefix=f"vitjax{me}"
    )
    log = logging.getLogger("absl")
    level = log.level
    log.setLevel(logging.ERROR)  # Orbax warns about the very options chosen above
    try:
        # One plain file per array: twice as fast as the compressed store for weights, which do not compress. No copy of
        # them first: nobody changes them meanwhile.
        kinds = ocp.type_handlers.create_type_handler_registry(
            (np.ndarray, ocp.type_handlers.NumpyHandler(deepcopy_host_arrays=False))
        )
        handler = ocp.PyTreeCheckpointHandler(
            use_ocdbt=False, use_compression=False, type_handler_registry=kinds, multiprocessing_options=alone
        )
        with ocp.Checkpointer(handler, multiprocessing_options=alone) as checkpointer:
            yield checkpointer, ocp
    finally:
        log.setLevel(level)


def _json(path: Path) -> dict[str, Any] | None:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Writes a file whole or not at all; a cache that cannot be written is not this function's to report."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps(value))
        os.replace(partial, path)
    except OSError:
        return


def _line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__
