"""A checkpoint that torch wrote (`.pth`, `.pt`, `.bin`) in, its tensors out, without torch and without running it.

Such a file is a zip archive of a pickle and one member of raw bytes for each storage (torch 1.6 and later). Of the
pickle's names only those of tensors and containers are admitted, each for a function here that notes what it is given.
Classes of TorchScript, as in OpenAI's CLIP, become records of their attributes. Storages are held against the
archive's CRC-32 and every tensor against its storage; a pickle rewritten with care cannot be told from another
checkpoint.
"""

import zipfile
from collections.abc import Mapping
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from vitjax.errors import InputError
from vitjax.weights.archive import read_member
from vitjax.weights.pickled import Record, unpickle
from vitjax.weights.tensors import Tensors

PICKLE, CONSTANTS = "data.pkl", "constants.pkl"  # TorchScript has both
SCRIPT = "torchscript"  # in the metadata of its tensors
LARGEST = 2**26  # bytes of a pickle; ten thousand tensors take two million
DEEPEST, MOST, LONGEST = 32, 10**6, 1000  # levels of a checkpoint, things in it, letters of a name
SIDES, BEYOND = 32, 2**48  # axes of a tensor and numbers of a storage; no file has more
DTYPES = {
    "DoubleStorage": np.dtype("<f8"),
    "FloatStorage": np.dtype("<f4"),
    "HalfStorage": np.dtype("<f2"),
    "BFloat16Storage": np.dtype(ml_dtypes.bfloat16),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
    "ShortStorage": np.dtype("<i2"),
    "CharStorage": np.dtype("i1"),
    "ByteStorage": np.dtype("u1"),
    "BoolStorage": np.dtype("?"),
}
# Where training scripts put the weights. Of several the first is taken: averages over steps first, as timm does.
WRAPPERS = ("state_dict_ema", "model_ema", "teacher", "state_dict", "model_state_dict", "model", "module")
PREFIXES = ("module.", "_orig_mod.")  # what DistributedDataParallel and torch.compile put before every name


class Storage(NamedTuple):
    """A run of `count` numbers, the member `key` of the archive; `kind` is a key of `DTYPES`."""

    kind: str
    key: str
    count: int


class View(NamedTuple):
    """A tensor: a part of a storage, its offset and strides in numbers."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


GLOBALS: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): lambda: {},
    ("torch._utils", "_rebuild_tensor_v2"): lambda *given: View(*given[:4]),
    ("torch._utils", "_rebuild_parameter"): lambda view, *rest: view,
    **{("torch", kind): kind for kind in DTYPES},
    **{("torch.jit._pickle", f"build_{kind}list"): lambda given: None for kind in ("int", "bool", "double")},
}


def is_torch_zip(archive: zipfile.ZipFile) -> bool:
    """Whether an archive is torch's."""
    return any(name.split("/")[1:] == [PICKLE] for name in archive.namelist())


def open_torch_zip(archive: zipfile.ZipFile) -> Tensors:
    """Reads the pickle of a checkpoint: a dict of tensors, one within a training script's dict, or TorchScript.

    Raises:
        InputError: a pickle that names or does anything else, a damaged one, tensors that do not fit their storages.
    """
    path = Path(archive.filename)
    (pickle,) = (name for name in archive.namelist() if name.split("/")[1:] == [PICKLE])
    folder = pickle.removesuffix(PICKLE)
    sizes = {member.filename.removeprefix(f"{folder}data/"): member.file_size for member in archive.infolist()}
    try:
        if archive.getinfo(pickle).file_size > LARGEST:
            raise InputError("its pickle is larger than that of any checkpoint")
        if f"{folder}byteorder" in archive.namelist() and read_member(archive, f"{folder}byteorder") != b"little":
            raise InputError("its numbers are big-endian; save it again on another machine")
        views = _views(_weights(unpickle(read_member(archive, pickle), _admit, _storage)))
        for name, view in views.items():
            _check(name, view, sizes)
    except InputError as error:
        raise InputError(f"{path} is refused: {error}") from None
    except Exception as error:  # a damaged pickle is a program gone wrong in any way there is
        raise InputError(f"{path} is damaged: its pickle ends with {type(error).__name__}; download it again") from None

    @lru_cache(maxsize=1)  # many tensors may share one storage
    def numbers(storage: Storage) -> np.ndarray:
        return np.frombuffer(read_member(archive, f"{folder}data/{storage.key}"), DTYPES[storage.kind])

    def read(name: str) -> np.ndarray:
        storage, offset, shape, strides = views[name]
        data = numbers(storage)[offset:]
        return np.lib.stride_tricks.as_strided(data, shape, [step * data.itemsize for step in strides], writeable=False)

    scripted = {SCRIPT: "true"} if f"{folder}{CONSTANTS}" in archive.namelist() else {}
    return Tensors((path,), {name: view.shape for name, view in views.items()}, read, scripted)


def _admit(module: str, name: str) -> Any:
    if module.split(".")[0] == "__torch__":
        return lambda *given: Record()
    if (module, name) not in GLOBALS:
        raise InputError(f"it names {module}.{name}, and only tensors and containers are read; save a state_dict")
    return GLOBALS[module, name]


def _storage(pid: Any) -> Storage:
    _, kind, key, _, count = pid
    return Storage(kind, key, count)


def _weights(checkpoint: Any) -> Any:
    """The part of a checkpoint that holds the weights."""
    for _ in range(DEEPEST):
        if not isinstance(checkpoint, dict) or any(isinstance(value, View) for value in checkpoint.values()):
            break
        parts = (checkpoint[name] for name in WRAPPERS if isinstance(checkpoint.get(name), dict))
        checkpoint = next(parts, checkpoint)
    return checkpoint


def _views(weights: Any) -> dict[str, View]:
    """The tensors in nested dicts by their dotted names, without what torch's wrappers put before every name."""
    found: dict[str, View] = {}
    looked_at = 0

    def look(node: Any, name: str, depth: int) -> None:
        nonlocal looked_at
        looked_at += 1
        if depth > DEEPEST or looked_at > MOST or len(name) > LONGEST:
            raise InputError("it is nested too deeply, too large, or has names too long")
        if isinstance(node, View):
            if found.setdefault(name, node) is not node:
                raise InputError(f"it has two tensors of the name {name}")
        elif isinstance(node, dict):
            for key, value in node.items():
                if isinstance(key, str):
                    look(value, f"{name}.{key}" if name else key, depth + 1)

    look(weights, "", 0)
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in found):
            found = {name.removeprefix(prefix): view for name, view in found.items()}
    return found


def _is_count(number: Any) -> bool:
    return type(number) is int and 0 <= number < BEYOND


def _check(name: str, view: View, sizes: Mapping[str, int]) -> None:
    """Raises if a tensor is not within its storage, or the storage is not what the archive has."""
    (kind, key, count), offset, shape, strides = view
    numbers = (count, offset, *shape, *strides)
    if len(shape) != len(strides) or len(shape) > SIDES or not all(map(_is_count, numbers)):
        raise InputError(f"{name} has a shape or strides that no tensor has")
    if sizes.get(key) != count * DTYPES[kind].itemsize:
        raise InputError(f"the storage {key!r} of {name} has {sizes.get(key, 'no')} bytes, not what it says")
    last = offset + sum((side - 1) * step for side, step in zip(shape, strides, strict=True))
    if prod(shape) > count or (prod(shape) and last >= count):
        raise InputError(f"{name} reaches outside its storage")
