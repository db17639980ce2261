"""Opens a checkpoint of torch before 1.6, without torch and without running it.

Such a file is a row of pickles: a magic number, a version, facts of the machine, the checkpoint (see
`vitjax.weights.formats.torch_pickle`) and the keys of its storages; then each storage in the order of the keys, its
count of numbers before it. It has no checksum: what is held against the file are the counts.
"""

import io
import struct
from pathlib import Path

import numpy as np

from vitjax.errors import InputError
from vitjax.weights.formats.tensors import Tensors
from vitjax.weights.formats.torch_pickle import DTYPES, LARGEST, Storage, check, refusing, run, tensors, views_of

MAGIC = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."  # the pickle of torch's magic number
VERSION = 1001
COUNT = struct.Struct("<q")


def open_torch_legacy(path: Path) -> Tensors:
    """Reads the pickles of a checkpoint, which come before its numbers.

    Raises:
        InputError: pickles that name or do anything but tensors and containers, damaged ones, or storages and tensors
            that do not fit.
    """
    with refusing(path), open(path, "rb") as file:
        start = io.BytesIO(file.read(LARGEST))
        (_, version, machine), _ = zip(*(run(start) for _ in range(3)), strict=True)
        if version != VERSION or not isinstance(machine, dict):
            raise InputError("it is no checkpoint of a torch that is known")
        if not machine.get("little_endian"):
            raise InputError("its numbers are big-endian; save it again on another machine")
        checkpoint, named = run(start)
        keys, _ = run(start)
        file.seek(start.tell())
        places, sizes = _storages(file, keys, {storage.key: storage for storage in named}, path.stat().st_size)
        views = views_of(checkpoint)
        for name, view in views.items():
            check(name, view, sizes)

    def numbers(storage: Storage) -> np.ndarray:
        found = np.fromfile(path, DTYPES[storage.kind], storage.count, offset=places[storage.key])
        if len(found) < storage.count:
            raise InputError(f"{path} has become shorter since it was opened")
        return found

    return tensors(path, views, numbers, {}, checkpoint)


def _storages(
    file: io.BufferedIOBase, keys: object, named: dict[str, Storage], end: int
) -> tuple[dict[str, int], dict[str, int]]:
    """Where each storage's numbers are in the file, and how many bytes they take."""
    places: dict[str, int] = {}
    sizes: dict[str, int] = {}
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys) or len({*keys}) < len(keys):
        raise InputError("its storages have no names, or two have one")
    for key in keys:
        if key not in named:
            raise InputError(f"it holds a storage {key!r} that no tensor is of")
        (count,) = COUNT.unpack(file.read(COUNT.size))
        places[key], sizes[key] = file.tell(), count * DTYPES[named[key].kind].itemsize
        if not 0 <= count <= end or places[key] + sizes[key] > end:
            raise InputError(f"the storage {key!r} declares {count:,} numbers, more than the file has")
        file.seek(sizes[key], io.SEEK_CUR)
    if file.tell() != end:
        raise InputError(f"{end - file.tell():,} bytes follow its last storage")
    return places, sizes
