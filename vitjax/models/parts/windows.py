"""Attention within windows of the grid, which may be shifted against it (Swin, arXiv 2103.14030; Twins' groups)."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from vitjax.models.core.execution import PLAIN, Execution
from vitjax.models.core.taps import Taps, View

APART = -100.0  # added to the scores of tokens that only the shift brings into one window, as the source has it


class Windowed(nnx.Module):
    """Runs an attention in every window of the grid, [batch, token, channel] to the same.

    The grid is rolled by the shift, then filled up with zeros at its lower and right end to whole windows. What is
    filled up is attended to as everything else, but not shown: q, k, v and z are shown on the grid, scores and probs
    for each window.

    Args:
        attn: the attention, of tokens in a window, row by row.
        grid: (rows, columns) of the tokens.
        size: (rows, columns) of a window.
        shift: rows and columns by which the windows are moved down and right.
    """

    def __init__(self, attn: nnx.Module, grid: tuple[int, int], size: tuple[int, int], shift: tuple[int, int] = (0, 0)):
        self.attn, self.windows = attn, Windows(grid, size, shift)

    def __call__(self, x: jax.Array, taps: Taps, execution: Execution = PLAIN) -> jax.Array:
        cut = self.windows.cut(x)
        mask = self.windows.mask()
        if mask is not None:
            mask = jnp.tile(jnp.asarray(mask, jnp.float32)[:, None], (len(x), 1, 1, 1))
        return self.windows.join(self.attn(cut, taps.viewed(self.windows), execution, mask)).reshape(x.shape)


class Windows(View):
    """How a grid is cut into windows and put together again; see `Windowed` for the arguments."""

    def __init__(self, grid: tuple[int, int], size: tuple[int, int], shift: tuple[int, int]):
        self.grid, self.size, self.shift = grid, size, shift

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Windows) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((self.grid, self.size, self.shift))

    @property
    def counts(self) -> tuple[int, int]:
        """Windows along the rows and columns."""
        return tuple(-(-side // size) for side, size in zip(self.grid, self.size, strict=True))

    def cut(self, x: jax.Array) -> jax.Array:
        """[batch, token, …] of the grid to [batch · window, token, …] of the windows, row by row."""
        return self._cut(x.reshape(len(x), *self.grid, *x.shape[2:]))

    def join(self, x: jax.Array) -> jax.Array:
        """[batch · window, token, …] of the windows to [batch, row, column, …] of the grid."""
        (down, across), (rows, columns) = self.counts, self.size
        x = x.reshape(-1, down, across, rows, columns, *x.shape[2:]).swapaxes(2, 3)
        x = x.reshape(len(x), down * rows, across * columns, *x.shape[5:])[:, : self.grid[0], : self.grid[1]]
        return jnp.roll(x, self.shift, (1, 2)) if any(self.shift) else x

    def mask(self) -> np.ndarray | None:
        """What keeps apart tokens that only the shift brings together, [window, query, key]; None without a shift."""
        if not any(self.shift):
            return None
        regions = np.zeros([count * size for count, size in zip(self.counts, self.size, strict=True)], int)
        for axis, (size, shift) in enumerate(zip(self.size, self.shift, strict=True)):
            length = regions.shape[axis]
            along = np.arange(length)
            region = (along >= length - size).astype(int) + (along >= length - shift) if shift else 0 * along
            regions += np.expand_dims(region, 1 - axis) * 3 ** (1 - axis)
        (down, across), (rows, columns) = self.counts, self.size
        cut = regions.reshape(down, rows, across, columns).swapaxes(1, 2).reshape(down * across, rows * columns)
        return np.where(cut[:, :, None] == cut[:, None, :], 0.0, APART)

    def show(self, value: jax.Array, axes: tuple[str, ...]) -> tuple[jax.Array, tuple[str, ...]]:
        """Tokens on the grid; scores window by window."""
        if axes[0] == "token":
            return self.join(value), ("row", "column", *axes[1:])
        windows = self.counts[0] * self.counts[1]
        return value.reshape(-1, windows, *value.shape[1:]), ("window", *axes)

    def back(self, shown: jax.Array, value: jax.Array, axes: tuple[str, ...]) -> jax.Array:
        """What was shown as the windows hold it; what they are filled up with stays."""
        if axes[0] != "token":
            return shown.reshape(value.shape)
        there = self._cut(jnp.ones((1, *self.grid), bool))
        there = jnp.tile(there, (len(shown), 1)).reshape(*value.shape[:2], *[1] * (value.ndim - 2))
        return jnp.where(there, self._cut(shown), value)

    def _cut(self, x: jax.Array) -> jax.Array:
        (down, across), (rows, columns) = self.counts, self.size
        x = jnp.roll(x, tuple(-shift for shift in self.shift), (1, 2)) if any(self.shift) else x
        fill = [(0, count * size - side) for count, size, side in zip(self.counts, self.size, self.grid, strict=True)]
        x = jnp.pad(x, [(0, 0), *fill, *[(0, 0)] * (x.ndim - 3)])
        x = x.reshape(len(x), down, rows, across, columns, *x.shape[3:]).swapaxes(2, 3)
        return x.reshape(-1, rows * columns, *x.shape[5:])
