"""A safetensors file and a config.json in, numpy arrays and a dict out; nothing in them is ever executed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes  # noqa: F401, teaches numpy the name bfloat16, which safetensors asks it for
import numpy as np
import safetensors

from vitjax.errors import InputError

FLOATS = ("F64", "F32", "F16", "BF16")

# What a file that is not what its name says begins with, and what to do about it.
FOREIGN = {
    b"version https://git-lfs": "a git-lfs pointer, not the file itself; fetch it with `git lfs pull`",
    b"<": "a web page or XML, not weights; download the file itself, not the page about it",
    b"PK": "a zip archive, such as torch's .pth or numpy's .npz; convert it to safetensors",
    b"\x80": "a Python pickle, such as torch's old .pth; convert it to safetensors",
    b"\x89HDF": "an HDF5 file; convert it to safetensors",
    b"\x93NUMPY": "a numpy array; convert it to safetensors",
    b"\x1f\x8b": "gzip-compressed; decompress it",
    b"{": "JSON; the weights are a .safetensors file",
}


@dataclass(frozen=True)
class Header:
    """What a safetensors file says before its data: {tensor: shape} and its free-text metadata."""

    shapes: Mapping[str, tuple[int, ...]]
    metadata: Mapping[str, str]


def read_header(path: Path) -> Header:
    """Reads names, shapes and metadata of a safetensors file, without its data.

    Raises:
        InputError: no such file, no permission, a folder, an empty, truncated or foreign file, or tensors that are not
            floating point (of 16, 32 or 64 bits).
    """
    with _opened(path) as tensors:
        slices = {name: tensors.get_slice(name) for name in tensors.keys()}  # noqa: SIM118, not a mapping
        kinds = {name: part.get_dtype() for name, part in slices.items()}
        header = Header({name: tuple(part.get_shape()) for name, part in slices.items()}, tensors.metadata() or {})
    odd = [f"{name} is {kind}" for name, kind in kinds.items() if kind not in FLOATS]
    if odd:
        rest = f" and {len(odd) - 3} more" if len(odd) > 3 else ""
        raise InputError(f"{path} holds tensors that are not {', '.join(FLOATS)}: {', '.join(odd[:3])}{rest}")
    if not header.shapes:
        raise InputError(f"{path} holds no tensors")
    return header


def read_tensors(path: Path) -> dict[str, np.ndarray]:
    """Reads a safetensors file whole: {name: array} in the file's own dtypes.

    Raises:
        InputError: as for `read_header`.
    """
    header = read_header(path)
    with _opened(path) as tensors:
        return {name: tensors.get_tensor(name) for name in header.shapes}


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
    data = _bytes(path)
    try:
        config = json.loads(data)
    except (ValueError, RecursionError) as error:
        what = f"not valid JSON: {error}"
        if not (start := data.lstrip()).startswith(b"{"):
            what = _foreign(start) or what
        raise InputError(f"{path} is {what}") from None
    if not isinstance(config, dict):
        raise InputError(f"{path} holds a JSON {type(config).__name__}, not an object of settings")
    return config


def _opened(path: Path) -> safetensors.safe_open:
    start = _bytes(path, 64)
    try:
        return safetensors.safe_open(path, framework="numpy")
    except safetensors.SafetensorError as error:
        what = _foreign(start) or f"damaged, truncated or not a safetensors file ({error}); download it again"
        raise InputError(f"{path} is {what}") from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error}") from None


def _bytes(path: Path, count: int = -1) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(count)
    except IsADirectoryError:
        raise InputError(f"{path} is a folder, not a file") from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None


def _foreign(start: bytes) -> str | None:
    if not start:
        return "empty"
    return next((what for magic, what in FOREIGN.items() if start.startswith(magic)), None)
