"""Opens a checkpoint that torch wrote (`.pth`, `.pt`, `.bin`), without torch and without running it.

Such a file is a zip archive of a pickle and one member of raw bytes for each storage (torch 1.6 and later); see
`vitjax.weights.formats.torch_pickle`. Storages are held against the archive's CRC-32.
"""

import zipfile
from pathlib import Path

import numpy as np

from vitjax.errors import InputError
from vitjax.weights.formats.archive import read_member
from vitjax.weights.formats.tensors import Tensors
from vitjax.weights.formats.torch_pickle import DTYPES, LARGEST, Storage, check, refusing, run, tensors, views_of

PICKLE, CONSTANTS = "data.pkl", "constants.pkl"  # TorchScript has both
SCRIPT = "torchscript"  # in the metadata of its tensors


def is_torch_zip(archive: zipfile.ZipFile) -> bool:
    """Says whether an archive is torch's."""
    return any(name.split("/")[1:] == [PICKLE] for name in archive.namelist())


def open_torch_zip(archive: zipfile.ZipFile) -> Tensors:
    """Reads the pickle of a checkpoint: a dict of tensors, one within a training script's dict, or TorchScript.

    Raises:
        InputError: a pickle that names or does anything else, a damaged one, tensors that do not fit their storages.
    """
    path = Path(archive.filename)
    pickle, *more = (name for name in archive.namelist() if name.split("/")[1:] == [PICKLE])
    if more:
        raise InputError(f"{path} holds {pickle} and {more[0]}: which of them is the checkpoint?")
    folder = pickle.removesuffix(PICKLE)
    sizes = {member.filename.removeprefix(f"{folder}data/"): member.file_size for member in archive.infolist()}
    with refusing(path):
        if archive.getinfo(pickle).file_size > LARGEST:
            raise InputError("its pickle is larger than that of any checkpoint")
        if f"{folder}byteorder" in archive.namelist() and read_member(archive, f"{folder}byteorder") != b"little":
            raise InputError("its numbers are big-endian; save it again on another machine")
        checkpoint, _ = run(read_member(archive, pickle))
        views = views_of(checkpoint)
        for name, view in views.items():
            check(name, view, sizes)

    def numbers(storage: Storage) -> np.ndarray:
        return np.frombuffer(read_member(archive, f"{folder}data/{storage.key}"), DTYPES[storage.kind])

    scripted = {SCRIPT: "true"} if f"{folder}{CONSTANTS}" in archive.namelist() else {}
    return tensors(path, views, numbers, scripted, checkpoint)
