"""Host memory for weights on their way to a device: made and filled so that no copy more is needed."""

import math

import numpy as np

ALIGNMENT = 64  # bytes; from such an address JAX takes an array on a CPU as it is
BAND = 16  # numbers of a cache line, in float32


def empty(shape: tuple[int, ...], dtype: np.typing.DTypeLike) -> np.ndarray:
    """Makes an array without values, at an address that JAX need not copy it from."""
    dtype = np.dtype(dtype)
    memory = np.empty(math.prod(shape) * dtype.itemsize + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : memory.size - ALIGNMENT + start].view(dtype).reshape(shape)


def fill(target: np.ndarray, value: np.ndarray) -> None:
    """Writes `value`, of the same size, over `target`.

    A transposed value is taken in bands of whole cache lines: at once, every number would be a miss (five times
    slower at 4096 x 1024).
    """
    flat = target.reshape(value.shape)
    if value.flags.c_contiguous or not np.may_share_memory(flat, target):  # the latter if reshaping made a copy
        target[...] = value.reshape(target.shape)
        return
    for start in range(0, flat.shape[-1], BAND):
        flat[..., start : start + BAND] = value[..., start : start + BAND]
