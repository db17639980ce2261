"""Attention within windows of the grid, which may be shifted against it (Swin, arXiv 2103.14030; Twins' groups)."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Int

from vitjax.models.core.execution import PLAIN, Execution
from vitjax.models.core.taps import Taps, View
from vitjax.models.visible import Visible

APART = -100.0  # added to the scores of tokens that only the shift brings into one window, as the source has it
NOWHERE = -1  # the place of a token that a window is filled up with


@dataclass(frozen=True)
class Windows(View):
    """How a grid is cut into windows and put together again.

    The grid is rolled by the shift, then filled up at its lower and right end to whole windows; or first filled up and
    then rolled. Both are the same where windows fill the grid.

    Attributes:
        grid: (rows, columns) of the tokens.
        size: (rows, columns) of a window.
        shift: rows and columns by which the windows are moved down and right.
        pad_first: whether the grid is filled up before it is rolled.
    """

    grid: tuple[int, int]
    size: tuple[int, int]
    shift: tuple[int, int] = (0, 0)
    pad_first: bool = False

    @property
    def counts(self) -> tuple[int, int]:
        """Windows along the rows and columns."""
        return tuple(-(-side // size) for side, size in zip(self.grid, self.size, strict=True))

    @property
    def places(self) -> Int[np.ndarray, "window token"]:
        """Which place of the grid each token of each window is, counted row by row; -1 where it is filled up."""
        numbers = np.arange(self.grid[0] * self.grid[1], dtype=np.int32).reshape(1, *self.grid)
        return self._shifted(numbers, np, NOWHERE)

    @property
    def regions(self) -> Int[np.ndarray, "window token"] | None:
        """Numbers of the regions of the rolled grid that lie beside each other in the image; None without a shift.

        They are counted on the grid as it is filled up: along an axis of length L those before L - size, those before
        L - shift, and the rest (timm 1.0.31, `SwinTransformerBlock.get_attn_mask`).
        """
        if not any(self.shift):
            return None
        along = []
        for count, size, shift in zip(self.counts, self.size, self.shift, strict=True):
            place, length = np.arange(count * size), count * size
            along.append((place >= length - size) + 1 * (place >= length - shift) if shift else 0 * place)
        return self._windows((3 * along[0][:, None] + along[1])[None].astype(np.int8))

    def cut(self, x: jax.Array) -> jax.Array:
        """[batch, token, …] of the grid to [batch · window, token, …] of the windows, row by row, zeros filled in."""
        return self._shifted(x.reshape(len(x), *self.grid, *x.shape[2:]), jnp, 0)

    def join(self, x: jax.Array) -> jax.Array:
        """[batch · window, token, …] of the windows to [batch, row, column, …] of the grid."""
        (down, across), (rows, columns) = self.counts, self.size
        x = x.reshape(-1, down, across, rows, columns, *x.shape[2:]).swapaxes(2, 3)
        x = x.reshape(len(x), down * rows, across * columns, *x.shape[5:])
        x = jnp.roll(x, self.shift, (1, 2)) if self.pad_first and any(self.shift) else x
        x = x[:, : self.grid[0], : self.grid[1]]
        return jnp.roll(x, self.shift, (1, 2)) if not self.pad_first and any(self.shift) else x

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
        there = np.tile(self.places >= 0, (len(shown), 1))
        return jnp.where(there.reshape(*there.shape, *[1] * (value.ndim - 2)), self._shifted(shown, jnp, 0), value)

    def _shifted(self, x: jax.Array | np.ndarray, numpy: object, fill: int) -> jax.Array | np.ndarray:
        """Rolls, fills up and cuts [batch, row, column, …]; `numpy` is the module that does it."""
        beyond = [count * size - side for count, size, side in zip(self.counts, self.size, self.grid, strict=True)]
        pad = lambda x: numpy.pad(x, [(0, 0), (0, beyond[0]), (0, beyond[1])] + [(0, 0)] * (x.ndim - 3), **constant)
        constant = {"constant_values": fill}
        back = tuple(-shift for shift in self.shift)
        roll = lambda x: numpy.roll(x, back, (1, 2)) if any(back) else x
        return self._windows(roll(pad(x)) if self.pad_first else pad(roll(x)))

    def _windows(self, x: jax.Array | np.ndarray) -> jax.Array | np.ndarray:
        """Cuts [batch, row, column, …] of whole windows into these."""
        (down, across), (rows, columns) = self.counts, self.size
        x = x.reshape(len(x), down, rows, across, columns, *x.shape[3:]).swapaxes(2, 3)
        return x.reshape(-1, rows * columns, *x.shape[5:])


class Windowed(nnx.Module):
    """Runs an attention in every window of the grid, [batch, token, channel] to the same.

    What windows are filled up with is attended to as everything else, but not shown: q, k, v and z are shown on the
    grid, scores and probs for each window.

    Args:
        attn: the attention, of tokens in a window, row by row.
        grid, size, shift, pad_first: how the grid is cut, see `Windows`.
        apart: what is added to the scores of tokens that only the shift brings into one window.
    """

    def __init__(
        self,
        attn: nnx.Module,
        grid: tuple[int, int],
        size: tuple[int, int],
        shift: tuple[int, int] = (0, 0),
        *,
        pad_first: bool = False,
        apart: float = APART,
    ):
        self.attn, self.windows, self.apart = attn, Windows(grid, size, shift, pad_first), apart

    def __call__(
        self, x: jax.Array, taps: Taps, execution: Execution = PLAIN, visible: Visible | None = None
    ) -> jax.Array:
        if visible is not None:  # then x are these
            return self.attn(x, taps, execution, groups=visible.groups[self.windows])
        regions = self.windows.regions
        mask = None if regions is None else self.apart * _differ(jnp.asarray(regions))
        out = self.attn(self.windows.cut(x), taps.viewed(self.windows), execution, mask)
        return self.windows.join(out).reshape(x.shape)


def _differ(regions: Int[jax.Array, "window token"]) -> jax.Array:
    """1 where query and key are of two regions, [window, 1, query, key]: compared in the program, which holds bytes."""
    return (regions[:, None, :, None] != regions[:, None, None, :]).astype(jnp.float32)
