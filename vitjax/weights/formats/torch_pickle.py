"""Reads which tensors a pickle of torch's describes: each a part of a run of numbers that lies elsewhere.

Of the pickle's names only those of tensors and containers are admitted, each for a function here that notes what it is
given. Classes of TorchScript, as in OpenAI's CLIP, become records of their attributes, and so does what training
scripts note beside the weights (`NOTES`): nothing of it is ever imported. Every tensor is held against its storage; a
pickle rewritten with care cannot be told from another checkpoint.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import ml_dtypes
import numpy as np

from vitjax.errors import InputError
from vitjax.weights.formats.pickled import Record, fill, unpickle
from vitjax.weights.formats.tensors import Tensors, is_count, is_shape

LARGEST = 2**26  # bytes of a pickle; ten thousand tensors take two million
DEEPEST, MOST, LONGEST = 32, 10**6, 1000  # levels of a checkpoint, things in it, letters of a name
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
    "ComplexFloatStorage": np.dtype("<c8"),
    "UntypedStorage": np.dtype("u1"),
}
NEWER = {  # of torch 2.1 and later: they have no storage of their own, the tensor says what its bytes are
    **{name: np.dtype(f"<u{size}") for name, size in (("uint16", 2), ("uint32", 4), ("uint64", 8))},
    **{name: np.dtype(getattr(ml_dtypes, name)) for name in ("float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2")},
}
DTYPES |= NEWER
# What training scripts keep beside the weights, {module: names}; a module with a dot at its end stands for those in it.
NOTES = {
    "argparse": ("Namespace",),
    "builtins": ("bytearray", "complex", "dict", "frozenset", "list", "range", "set", "slice", "tuple"),
    "collections": ("Counter", "defaultdict"),
    "datetime": ("date", "datetime", "timedelta", "timezone"),
    "easydict": ("EasyDict",),
    "numpy": ("dtype", "ndarray"),
    "numpy.core.multiarray": ("_reconstruct", "scalar"),
    "pathlib": ("Path", "PosixPath", "PurePath", "PurePosixPath", "PureWindowsPath", "WindowsPath"),
    "torch": ("Size", "bfloat16", "bool", "device", "float16", "float32", "float64", "int32", "int64", "int8", "uint8"),
    "src.sae_training.config": ("Config", "ViTSAERunnerConfig"),  # PatchSAE's
    "typing": ("Any",),
    "vit_prisma.configs.HookedViTConfig": ("HookedViTConfig",),
    "vit_prisma.sae.config": ("VisionModelSAERunnerConfig",),
    "yacs.config": ("CfgNode",),
    "_codecs": ("encode",),
    "lightning.": ("AttributeDict",),
    "lightning_fabric.": ("AttributeDict",),
    "pytorch_lightning.": ("AttributeDict",),
    "omegaconf.": ("AnyNode", "ContainerMetadata", "DictConfig", "ListConfig", "Metadata"),
}
RENAMED = {"__builtin__": "builtins", "numpy._core.multiarray": "numpy.core.multiarray", "pathlib._local": "pathlib"}


class Storage(NamedTuple):
    """A run of `count` numbers, known by its `key`; `kind` is a key of `DTYPES`."""

    kind: str
    key: str
    count: int


class View(NamedTuple):
    """A tensor: a part of a storage, its offset and strides in numbers."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _admit(module: str, name: str) -> Any:
    if (module, name) in GLOBALS:
        return GLOBALS[module, name]
    module, root = RENAMED.get(module, module), f"{module.split('.')[0]}."
    if root == "__torch__." or name in (*NOTES.get(module, ()), *NOTES.get(root, ())):
        return lambda *given: Record()
    raise InputError(
        f"it names {module}.{name}, and only tensors, containers and notes of training are read; save a state_dict"
    )


def _ordered(pairs: Any = ()) -> dict:
    """An OrderedDict; Python 2 gave it its items at once."""
    fill(found := {}, [part for key, value in pairs for part in (key, value)])
    return found


def _of_bytes(storage: Storage, offset: int, shape: Any, strides: Any, grad: Any, hooks: Any, kind: str) -> View:
    """A tensor that says itself what the bytes of its storage are."""
    return View(Storage(kind, storage.key, storage.count // DTYPES[kind].itemsize), offset, shape, strides)


GLOBALS: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): _ordered,
    ("collections", "deque"): lambda *given: [],
    ("torch._utils", "_rebuild_tensor"): View,  # until torch 0.4
    ("torch._utils", "_rebuild_tensor_v2"): lambda *given: View(*given[:4]),
    ("torch._utils", "_rebuild_tensor_v3"): lambda *given: _of_bytes(*given[:7]),
    ("torch._utils", "_rebuild_parameter"): lambda view, *rest: view,
    **{("torch", kind): kind for kind in DTYPES},
    ("torch.storage", "UntypedStorage"): "UntypedStorage",
    **{("torch.jit._pickle", f"build_{kind}list"): lambda given: None for kind in ("int", "bool", "double")},
}


@contextmanager
def refusing(path: Path) -> Iterator[None]:
    """Says in one line, with the file's name, whatever is wrong with a pickle."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{path} is refused: {error}") from None
    except Exception as error:  # a damaged pickle is a program gone wrong in any way there is
        raise InputError(f"{path} is damaged: its pickle ends with {type(error).__name__}; download it again") from None


def run(pickle: bytes | BinaryIO) -> tuple[Any, list[Storage]]:
    """Reads what a pickle of torch's describes, tensors as `View`s, and all storages that it names.

    Args:
        pickle: its bytes, or a file at the place where it begins; it is left at the place where the pickle ends.

    Raises:
        InputError: the pickle names or does anything that a checkpoint has no use for.
        Exception: whatever a malformed pickle makes Python stumble over.
    """
    named: list[Storage] = []

    def storage(pid: Any) -> Storage:
        _, kind, key, _, count, *part = pid
        if any(part):
            raise InputError("it has storages that are parts of others; save it again with a newer torch")
        named.append(Storage(kind, key, count))
        return named[-1]

    return unpickle(pickle, _admit, storage), named


def tensors(
    path: Path,
    views: Mapping[str, View],
    numbers: Callable[[Storage], np.ndarray],
    metadata: Mapping[str, str],
    checkpoint: Any,
) -> Tensors:
    """Gives a file's tensors, and what is beside them in its checkpoint; `numbers` reads a storage."""
    held = lru_cache(maxsize=1)(numbers)  # many tensors may share one storage

    def read(name: str) -> np.ndarray:
        storage, offset, shape, strides = views[name]
        data = held(storage)[offset:]
        plain = data.view(f"u{data.itemsize}")  # numpy loses sight of what types not its own are
        strided = np.lib.stride_tricks.as_strided
        return strided(plain, shape, [step * data.itemsize for step in strides], writeable=False).view(data.dtype)

    notes = checkpoint if isinstance(checkpoint, dict) else {}
    return Tensors((path,), {name: view.shape for name, view in views.items()}, read, metadata, notes)


def views_of(checkpoint: Any) -> dict[str, View]:
    """Finds the tensors in a checkpoint's nested dicts, or in TorchScript's records, by their dotted names."""
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

    look(checkpoint, "", 0)
    return found


def check(name: str, view: View, sizes: Mapping[str, int]) -> None:
    """Raises if a tensor is not within its storage, or the storage has other bytes than the `sizes` that are there."""
    (kind, key, count), offset, shape, strides = view
    numbers = (count, offset, *shape, *strides)
    if len(shape) != len(strides) or not is_shape(shape) or not all(map(is_count, numbers)):
        raise InputError(f"{name} has a shape or strides that no tensor has")
    if sizes.get(key) != count * DTYPES[kind].itemsize:
        raise InputError(f"the storage {key!r} of {name} has {sizes.get(key, 'no')} bytes, not what it says")
    last = offset + sum((side - 1) * step for side, step in zip(shape, strides, strict=True))
    if prod(shape) > count or (prod(shape) and last >= count):
        raise InputError(f"{name} reaches outside its storage")
