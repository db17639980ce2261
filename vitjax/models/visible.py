"""Some tokens of a map alone: in which order they come, who attends to whom among them, and how they become fewer.

The map is cut into squares, units, that are there or not as a whole. Tokens come unit by unit, and within a unit cell
by cell: the four of a two by two stand beside each other, and so do the four cells that are one two stages later. To
merge cells, or to take one step of a convolution whose kernel is as large as its stride, is then to reshape.
"""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

from vitjax.models.core.tap_site import Cut

NEVER = -1e9  # added in float32 to the scores of tokens that do not attend to each other


class Distances(Protocol):
    """A bias of scores that depends on how far a key stands from its query alone."""

    def between(self, down: Int[Array, "..."], right: Int[Array, "..."]) -> Array:
        """The bias of queries that stand so many rows below and columns right of their keys, [..., head]."""


class Groups(NamedTuple):
    """Who attends to whom among visible tokens: those of one window, of which a group holds several.

    Attributes:
        slots: the token in each place of each group, counted group by group, -1 where it is filled up; None for one
            group of all tokens as they come.
        back: the place of each token; None with `slots`.
        together: whether query and key are of one window.
        down, right: rows and columns from the key to the query.
    """

    slots: Int[Array, " slot"] | None
    back: Int[Array, " token"] | None
    together: Bool[Array, "group query key"]
    down: Int[Array, "group query key"]
    right: Int[Array, "group query key"]

    def cut(self, x: Array) -> Array:
        """[batch, token, ...] to [batch · group, slot, ...]."""
        if self.slots is None:
            return x
        return _moved(x, self.slots, self.back).reshape(-1, self.together.shape[1], *x.shape[2:])

    def join(self, x: Array) -> Array:
        """[batch · group, slot, ...] to [batch, token, ...]."""
        if self.slots is None:
            return x
        return _moved(x.reshape(-1, len(self.slots), *x.shape[2:]), self.back, self.slots)

    def mask(self, bias: Distances | None) -> Array:
        """What is added to the scores, [group, head or 1, query, key]."""
        if bias is None:
            return jnp.where(self.together, 0.0, NEVER)[:, None]
        added = jnp.moveaxis(bias.between(self.down, self.right), -1, 1)
        return jnp.where(self.together[:, None], added, jnp.asarray(NEVER, jnp.promote_types(added.dtype, jnp.float32)))


class Visible(NamedTuple):
    """The tokens of a map that are there.

    Attributes:
        grid: (rows, columns) of the map.
        places: where each token stands on it, counted row by row.
        groups: who attends to whom, by the `Windows` that the map is cut into.
    """

    grid: tuple[int, int]
    places: Int[Array, " token"]
    groups: Mapping[Cut, Groups]

    def on_map(self, x: Array) -> Array:
        """The map [batch, row, column, channel] of tokens [batch, token, channel], zero where there is none."""
        zeros = jnp.zeros((len(x), self.grid[0] * self.grid[1], x.shape[-1]), x.dtype)
        return zeros.at[:, self.places].set(x, unique_indices=True).reshape(len(x), *self.grid, -1)

    def of_map(self, x: Array) -> Array:
        """The tokens of a map, [batch, token, channel]."""
        return x.reshape(len(x), -1, x.shape[-1])[:, self.places]


def order(side: int) -> Int[np.ndarray, "token axis"]:
    """(row, column) of each token of a unit with `side` rows and columns, in the order in which they come.

    The side is a power of two. Of the four of a cell come the left two first, as Swin merges them.
    """
    if side == 1:
        return np.zeros((1, 2), np.int64)
    inner = np.array([(0, 0), (1, 0), (0, 1), (1, 1)])
    return (2 * order(side // 2)[:, None] + inner).reshape(-1, 2)


def cells(x: Array, size: int) -> Array:
    """Tokens in cells of `size` rows and columns, row by row in each as a convolution reads them.

    [batch, token, channel] to [batch, cell, size² · channel].
    """
    row_by_row = np.argsort(order(size) @ [size, 1])
    x = x.reshape(len(x), -1, size * size, x.shape[-1])[:, :, row_by_row]
    return x.reshape(*x.shape[:2], -1)


@jax.custom_vjp
def _moved(x: Array, there: Int[Array, " new"], back: Int[Array, " old"]) -> Array:
    """Gives place i of axis 1 what place there[i] holds, 0 where that is negative.

    Each place is taken once, so that the gradient is taken as well, by `back`, where JAX would add it up; of places
    that are left out it is zero.
    """
    taken = x.at[:, jnp.maximum(there, 0)].get(mode="promise_in_bounds")
    return jnp.where((there >= 0).reshape(1, -1, *[1] * (x.ndim - 2)), taken, 0)


def _moved_back(kept: tuple[Array, Array], change: Array) -> tuple[Array, None, None]:
    there, back = kept
    return _moved(change, back, there), None, None


_moved.defvjp(lambda x, there, back: (_moved(x, there, back), (there, back)), _moved_back)
