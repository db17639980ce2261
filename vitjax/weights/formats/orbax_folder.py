"""Keeps a model's arrays, and where they came from, in a folder as an Orbax checkpoint.

`provenance.json` says what they are, of which file, made by what, and the size of each file of the checkpoint;
`arrays` is the checkpoint, a flat dict of arrays by dotted name. The folder appears under its name only when it is
whole.
"""

import errno
import json
import logging
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np

from vitjax import __version__, files
from vitjax.errors import InputError
from vitjax.weights.formats import host
from vitjax.weights.formats.names import PROVENANCE

ARRAYS = "arrays"
BLOCK = 4096  # bytes: what a file takes on a disk at least, and its directory's entry
PACKAGES = ("flax", "jax", "numpy", "orbax-checkpoint", "safetensors")


def write(
    folder: Path,
    contents: Mapping[str, Any],
    origin: Mapping[str, str],
    arrays: Mapping[str, np.ndarray],
    texts: Mapping[str, str] = {},
) -> None:
    """Writes a folder, unless a whole one of the same contents is there.

    Args:
        folder: where; an older one is replaced.
        contents: what `is_whole` will hold it against.
        origin: the rest of what there is to say.
        arrays: {dotted name: array}.
        texts: {file: text} to lie beside them.

    Raises:
        Exception: whatever a full or unwritable disk makes Orbax and TensorStore raise.
    """
    with files.whole_folder(folder) as partial:
        _reserve(partial / ARRAYS, [array.nbytes for array in arrays.values()])
        with _checkpointer() as (checkpointer, ocp):  # Orbax does not store empty arrays
            full = {name: array for name, array in arrays.items() if array.size}
            checkpointer.save(partial.resolve() / ARRAYS, args=ocp.args.PyTreeSave(full))
        packages = {"vitjax": __version__} | {name: version(name) for name in PACKAGES}
        made = {"origin": dict(origin), "packages": packages, "files": _sizes(partial / ARRAYS)}
        for name, text in {**texts, PROVENANCE: json.dumps({**contents, **made}, indent=2)}.items():
            (partial / name).write_text(text)
        same = is_whole(folder, contents) and all((folder / name).read_text() == text for name, text in texts.items())
        if same:  # another process was faster
            shutil.rmtree(partial)


def read(folder: Path, wanted: Mapping[str, jax.ShapeDtypeStruct]) -> dict[str, np.ndarray]:
    """Reads the arrays of a folder, cast as `wanted` says.

    TensorStore reads the arrays of the checkpoint straight to where JAX can take them from, one at a time; Orbax would
    hold them twice.

    Args:
        folder: what `write` wrote.
        wanted: {dotted name: shape and dtype}.

    Raises:
        Exception: whatever a damaged checkpoint makes TensorStore raise.
    """
    largest_first = sorted(wanted, key=lambda name: -np.prod(wanted[name].shape))  # while there is most room for it
    return {name: _read(folder / ARRAYS / name, wanted[name]) for name in largest_first}


def is_whole(folder: Path, contents: Mapping[str, Any]) -> bool:
    """Says whether a folder is there, of these contents, with every file as long as it was when it was written."""
    provenance = read_json(folder / PROVENANCE)
    same = all(provenance.get(name) == value for name, value in contents.items())
    return same and provenance.get("files") == _sizes(folder / ARRAYS)


def lacks(folder: Path, wanted: Mapping[str, jax.ShapeDtypeStruct]) -> bool:
    """Says whether arrays are wanted that a folder never had, as one does of a version that called them otherwise."""
    held = {file.partition("/")[0] for file in read_json(folder / PROVENANCE).get("files", {})}
    return any(name not in held for name, want in wanted.items() if np.prod(want.shape))


def listed(provenance: Path) -> list[str]:
    """Lists the files of the checkpoint that a `provenance.json` lists, as paths beside it.

    Raises:
        InputError: none, or a path that leads elsewhere.
    """
    listed = read_json(provenance).get("files")
    if not isinstance(listed, dict) or not listed:
        raise InputError(f"{provenance} lists no files")
    for file in listed:
        if set(file.split("/")) & {"", ".", ".."} or "\\" in file or "\0" in file:
            raise InputError(f"{provenance} names {file!r}, which is no file below it")
    return [f"{ARRAYS}/{file}" for file in listed]


def read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON object of our own; empty if there is none, or a damaged one."""
    try:
        return files.read_json(path)
    except InputError:
        return {}


def _read(folder: Path, want: jax.ShapeDtypeStruct) -> np.ndarray:
    import tensorstore

    array = host.empty(want.shape, want.dtype)
    if array.size:
        spec = {"driver": "zarr", "kvstore": {"driver": "file", "path": str(folder.resolve())}}
        stored = tensorstore.open(spec, open=True, read=True).result()
        if stored.shape != want.shape:
            raise ValueError(f"{folder.name} is {stored.shape} instead of {want.shape}")
        tensorstore.array(array).write(tensorstore.cast(stored, want.dtype)).result()
    return array


def _reserve(folder: Path, sizes: Iterable[int]) -> None:
    """Raises an OSError where there is no room for files of these sizes.

    It is asked before Orbax begins: on a full disk each of its threads would print a traceback, and the last of them
    outlive its event loop.
    """
    if not hasattr(os, "posix_fallocate"):  # not on macOS
        if shutil.disk_usage(folder.parent).free < sum(sizes):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
        return
    folder.mkdir()
    try:
        for number, size in enumerate(sizes):
            with open(folder / str(number), "wb") as file:
                os.posix_fallocate(file.fileno(), 0, size + BLOCK)
    finally:
        shutil.rmtree(folder)


def _sizes(folder: Path) -> dict[str, int]:
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in found}


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
    log.setLevel(logging.CRITICAL)  # Orbax warns about the very options chosen above, and of errors that it raises
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
