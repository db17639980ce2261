"""Checkpoints in torch's form made without torch, by hand where they are to be wrong."""

import io
import pickle
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

KINDS = {"float64": "Double", "float32": "Float", "float16": "Half", "bfloat16": "BFloat16", "int64": "Long"}


def value(plain) -> bytes:
    """The instructions that put a plain value on the stack."""
    pickler = pickle.Pickler(file := io.BytesIO(), 2)
    pickler.fast = True  # without notes for later, which a test may want to make itself
    pickler.dump(plain)
    return file.getvalue()[2:-1]


def view(key="0", kind="FloatStorage", count=6, offset=0, shape=(2, 3), strides=(3, 1), part=()) -> bytes:
    """The instructions that put a tensor on the stack, as torch writes them; of old files `part` is (None,)."""
    about = b"".join(map(value, (key, "cpu", count, *part)))
    storage = b"(" + value("storage") + f"ctorch\n{kind}\n".encode() + about + b"tQ"
    place = value(offset) + value(shape) + value(strides)
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + place + b"\x89ccollections\nOrderedDict\n)RtR"


def program(items: Mapping[str, bytes]) -> bytes:
    """A pickle of a dict whose values are put on the stack by these instructions."""
    return b"\x80\x02}(" + b"".join(value(name) + item for name, item in items.items()) + b"u."


def write(path: Path, code: bytes, storages: Mapping[str, bytes]) -> Path:
    """Writes a zip archive with a pickle and storages."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", code)
        archive.writestr("archive/byteorder", "little")
        for key, data in storages.items():
            archive.writestr(f"archive/data/{key}", data)
    return path


def legacy(
    path: Path, code: bytes, storages: Mapping[str, tuple[int, bytes]], keys=None, version=1001, **machine
) -> Path:
    """Writes a file as torch before 1.6 did: a pickle and storages, {key: (count of numbers, bytes)}."""
    head = [value(number) for number in (0x1950A86A20F9469CFC6C, version, {"little_endian": True} | machine)]
    listed = value(list(storages) if keys is None else keys)
    pickles = [*(b"\x80\x02" + plain + b"." for plain in head), code, b"\x80\x02" + listed + b"."]
    path.write_bytes(b"".join([*pickles, *(struct.pack("<q", count) + data for count, data in storages.values())]))
    return path


def save(path: Path, tensors: Mapping[str, np.ndarray]) -> Path:
    """Writes tensors as `torch.save` would, each in a storage of its own."""
    views, storages = {}, {}
    for number, (name, tensor) in enumerate(tensors.items()):
        strides = tuple(step // tensor.itemsize for step in np.ascontiguousarray(tensor).strides)
        kind = f"{KINDS[tensor.dtype.name]}Storage"
        views[name] = view(str(number), kind, tensor.size, 0, tensor.shape, strides[: tensor.ndim])
        storages[str(number)] = tensor.tobytes()
    return write(path, program(views), storages)
