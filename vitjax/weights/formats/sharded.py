"""Opens a checkpoint in several files by its index (`*.index.json`)."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from vitjax.errors import InputError, nearest
from vitjax.weights.formats.tensors import Tensors

SUFFIX = ".index.json"


def open_index(path: Path, index: Mapping[str, Any], open_one: Callable[[Path], Tensors]) -> Tensors:
    """Opens every file that an index names.

    Args:
        path: of the index; its files lie beside it.
        index: its contents, `{"weight_map": {tensor: file}}`.
        open_one: opens one file.

    Raises:
        InputError: no such map, files elsewhere or missing, or tensors that only the index or only a file has.
    """
    parts = {file: open_one(path.parent / file) for file in shards(path, index)}
    where = index["weight_map"]
    for name, file in where.items():
        if name not in parts[file]:
            raise InputError(f"{path} says that {name} is in {file}, which has none{nearest(name, parts[file])}")
    for file, part in parts.items():
        if unlisted := [name for name in part if where.get(name) != file]:
            raise InputError(f"{path} does not say that {unlisted[0]} is in {file}")
    shapes = {name: parts[file].shapes[name] for name, file in where.items()}
    files = tuple(file for part in parts.values() for file in part.files)
    return Tensors((path, *files), shapes, lambda name: parts[where[name]].read(name))


def shards(path: Path, index: Mapping[str, Any]) -> list[str]:
    """Lists the files that an index names, each once.

    Raises:
        InputError: no map of tensors to files, or files that do not lie beside the index.
    """
    where = index.get("weight_map")
    if not isinstance(where, dict) or not where or not all(isinstance(file, str) for file in where.values()):
        raise InputError(f'{path} has no "weight_map" of tensors to files')
    files = sorted(set(where.values()))
    for file in files:
        if file in ("", ".", "..") or Path(file).name != file or "\\" in file or "\0" in file or file.endswith(SUFFIX):
            raise InputError(f"{path} names {file!r}, which is no file beside it")
    return files
