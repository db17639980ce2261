"""Opens archives of numpy arrays (`.npz`); pickled objects in them are refused, never loaded.

Every array is held against the CRC-32 that the archive keeps of it, so data that changed on the way is noticed.
"""

import zipfile
from math import prod
from pathlib import Path

import ml_dtypes
import numpy as np

from vitjax.errors import InputError
from vitjax.weights.formats.archive import read_member
from vitjax.weights.formats.tensors import Tensors, is_shape

SUFFIX = ".npy"
KINDS = "biufc"  # of numbers, as numpy abbreviates them
BFLOAT16 = np.dtype("V2")  # numpy has no name for it and writes it so, as in big_vision's files
HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def open_npz(archive: zipfile.ZipFile) -> Tensors:
    """Reads the header of every array.

    Args:
        archive: as `numpy.savez` or `savez_compressed` writes it.

    Raises:
        InputError: members that are no plain arrays, or whose headers do not fit their sizes.
    """
    headers, members = {}, {}
    for member in archive.infolist():
        name = member.filename.removesuffix(SUFFIX)
        try:
            with archive.open(member) as file:
                shape, column_major, dtype = HEADERS[np.lib.format.read_magic(file)](file)
                start = file.tell()
        except Exception as error:  # numpy and zipfile raise as they please on what is no array
            raise InputError(f"{archive.filename} holds {member.filename!r}, which is no array ({error})") from None
        if dtype.hasobject:
            raise InputError(f"{archive.filename} holds Python objects in {name!r}; only arrays of numbers are read")
        if dtype.kind not in KINDS and dtype != BFLOAT16:
            raise InputError(f"{archive.filename} holds {dtype} in {name!r}; only arrays of numbers are read")
        if name in headers:
            raise InputError(f"{archive.filename} holds two arrays of the name {name!r}")
        if not is_shape(shape):
            raise InputError(f"{archive.filename} is damaged: {name!r} has the shape {shape}, as no array has")
        if start + prod(shape) * dtype.itemsize != member.file_size:
            raise InputError(f"{archive.filename} is damaged: {name!r} is not as long as its shape {shape} says")
        members[name], headers[name] = member.filename, (start, shape, "F" if column_major else "C", dtype)

    def read(name: str) -> np.ndarray:
        start, shape, order, dtype = headers[name]
        array = np.frombuffer(read_member(archive, members[name]), dtype, offset=start).reshape(shape, order=order)
        if dtype == BFLOAT16:
            return array.view(ml_dtypes.bfloat16)
        return array.astype(dtype.newbyteorder("="), copy=False)

    return Tensors((Path(archive.filename),), {name: shape for name, (_, shape, *_) in headers.items()}, read)
