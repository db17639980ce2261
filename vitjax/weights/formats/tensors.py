"""Holds the tensors of a checkpoint by name: their shapes at once, their data when it is asked for."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from vitjax.errors import InputError

FLOATS = tuple(map(np.dtype, ("float64", "float32", "float16", ml_dtypes.bfloat16)))
SIDES, BEYOND = 32, 2**48  # axes of a tensor and numbers along one; no file has more


@dataclass(frozen=True, eq=False)
class Tensors(Mapping[str, np.ndarray]):
    """Named tensors on disk. `tensors[name]` reads one, in the file's own dtype; nothing is kept in memory.

    Attributes:
        files: what holds them; the first is the one that was named.
        shapes: {name: shape}.
        read: gives the array of a name in `shapes`.
        metadata: what the file says of itself in free text.
        notes: what lies beside the tensors in torch's file, in plain containers; objects are their attributes.
        part: which of several copies of a model in the file these are, where it is not the usual one.
    """

    files: tuple[Path, ...]
    shapes: Mapping[str, tuple[int, ...]]
    read: Callable[[str], np.ndarray]
    metadata: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)
    part: str = ""

    def __getitem__(self, name: str) -> np.ndarray:
        """Reads one tensor.

        Raises:
            InputError: it is not floating point (of 16, 32 or 64 bits), or its bytes are damaged.
        """
        if name not in self.shapes:
            raise KeyError(name)
        array = self.read(name)
        if array.dtype not in FLOATS:
            raise no_floats(name, array.dtype)
        return array

    def __contains__(self, name: object) -> bool:
        return name in self.shapes

    def __iter__(self) -> Iterator[str]:
        return iter(self.shapes)

    def __len__(self) -> int:
        return len(self.shapes)

    @property
    def size(self) -> int:
        """Bytes on disk of all files."""
        return sum(path.stat().st_size for path in self.files)


def no_floats(name: str, dtype: object) -> InputError:
    """Says which dtype a tensor has and which are read, as an error: of fewer bits each needs a scale of its own."""
    return InputError(f"{name} is {dtype}, not {', '.join(map(str, FLOATS[:-1]))} or {FLOATS[-1]}")


def shapes_of(tensors: Mapping[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    """Gives the shape of each tensor by name, without reading any that is on disk."""
    if isinstance(tensors, Tensors):
        return dict(tensors.shapes)
    return {name: tensor.shape for name, tensor in tensors.items()}


def is_count(number: object) -> bool:
    """Says whether something that a file states can be how many numbers there are of something."""
    return type(number) is int and 0 <= number < BEYOND


def is_shape(shape: Sequence[object]) -> bool:
    """Says whether a shape that a file states is one that a tensor can have."""
    return len(shape) <= SIDES and all(map(is_count, shape))
