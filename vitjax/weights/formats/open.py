"""Opens files of weights of any kind, and reads config.json; nothing in them is ever executed.

What a file is, is read off its first bytes, not its name. What is noticed of damage: safetensors keeps no checksums,
so its structure alone is held against the file; of zip archives (`.npz`, torch's) every byte of data is.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_dtypes  # noqa: F401, teaches numpy the name bfloat16, which safetensors asks it for
import numpy as np
import safetensors

from vitjax.errors import InputError
from vitjax.files import open_regular, parse_json, read_bytes
from vitjax.weights.formats import npz, sharded, torch_legacy, torch_zip
from vitjax.weights.formats.archive import open_archive
from vitjax.weights.formats.tensors import Tensors, no_floats

# What a file that holds no weights begins with, and what to do about it.
FOREIGN = {
    b"version https://git-lfs": "a git-lfs pointer, not the file itself; fetch it with `git lfs pull`",
    b"<": "a web page or XML, not weights; download the file itself, not the page about it",
    b"\x80": "a Python pickle, not weights that torch saved; save a state_dict with `torch.save`",
    b"\x89HDF": "an HDF5 file; convert it to safetensors",
    b"\x93NUMPY": "a numpy array; convert it to safetensors",
    b"\x1f\x8b": "gzip-compressed; decompress it",
    b"{": "JSON; the weights are a .safetensors file",
}
ZIP = b"PK"
# What a file that none of these is was expected to be, by the end of its name.
EXPECTED = {".npz": "an .npz archive"} | dict.fromkeys((".pth", ".pt", ".bin", ".ckpt"), "a file that torch saved")
KINDS = {"F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U64", "U32", "U16", "U8", "BOOL"}  # numpy has them


def open_file(path: Path) -> Tensors:
    """Opens a file of weights: safetensors, `.npz`, torch's `.pth`, `.pt`, `.bin` and `.ckpt`, or an index of several.

    Raises:
        InputError: no such file, no permission, a folder, an empty, damaged or foreign file, a pickle that names
            anything but tensors, containers and notes, an index whose files do not fit, or no tensors at all.
    """
    if path.name.endswith(sharded.SUFFIX):
        return sharded.open_index(path, read_json(path), open_file)
    start = _start(path)
    if start == torch_legacy.MAGIC:
        tensors = torch_legacy.open_torch_legacy(path)
    elif not start.startswith(ZIP):
        tensors = _open_safetensors(path)
    elif torch_zip.is_torch_zip(archive := open_archive(path)):
        tensors = torch_zip.open_torch_zip(archive)
    else:
        tensors = npz.open_npz(archive)
    if not tensors:
        raise InputError(f"{path} holds no tensors")
    return tensors


def _open_safetensors(path: Path) -> Tensors:
    with _safetensors(path) as file:
        shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118, no mapping
        metadata = file.metadata() or {}

    def read(name: str) -> np.ndarray:
        try:
            with _safetensors(path) as file:  # opened anew, as what is read stays mapped until it is closed
                if (kind := file.get_slice(name).get_dtype()) not in KINDS:
                    raise no_floats(name, kind)
                return file.get_tensor(name)
        except (safetensors.SafetensorError, AttributeError, TypeError) as error:  # numpy lacks some of its types
            raise InputError(f"{name} in {path} cannot be read: {error}") from None

    return Tensors((path,), shapes, read, metadata)


def read_config(path: Path | None, weights: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    """Reads a model's config.json, or makes one of the `architecture` that the weights' metadata names.

    Args:
        path: of config.json; None if there is none beside the weights.
        weights: path of the weights, for the message.
        metadata: of the weights file.

    Raises:
        InputError: neither is there, or the file is unreadable or not a JSON object.
    """
    if path is None and "architecture" in metadata:
        return {"architecture": metadata["architecture"]}
    if path is None:
        raise InputError(
            f'there is no config.json beside {weights}: put the model\'s own there, or {{"architecture": "NAME"}} '
            "with its name in timm, e.g. vit_tiny_patch16_224"
        )
    return read_json(path)


def read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON object.

    Raises:
        InputError: the file is unreadable or holds anything else.
    """
    data = read_bytes(path)
    if not (start := data.lstrip()).startswith(b"{") and (what := _foreign(start)):
        raise InputError(f"{path} is {what}")
    return parse_json(data, str(path))


def _safetensors(path: Path) -> safetensors.safe_open:
    try:
        return safetensors.safe_open(path, framework="numpy")
    except safetensors.SafetensorError as error:
        what = _foreign(_start(path, 64))
        expected = EXPECTED.get(path.suffix.lower(), f"a safetensors file ({error})")
        what = what or f"damaged, truncated or not {expected}; download or make it again"
        raise InputError(f"{path} is {what}") from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error}") from None


def _start(path: Path, count: int = len(torch_legacy.MAGIC)) -> bytes:
    with open_regular(path) as file:
        return file.read(count)


def _foreign(start: bytes) -> str | None:
    if not start:
        return "empty"
    return next((what for magic, what in FOREIGN.items() if start.startswith(magic)), None)
