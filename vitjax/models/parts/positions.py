"""Positions inside attention: causal masks, relative position bias, rotary embedding, and gates between two maps."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from vitjax.errors import InputError
from vitjax.models.core.config import Rotary

STRONGEST = 16.0  # bias that `LogDistanceBias` can give
Numbers = np.ndarray | jax.Array
DISTANT = 3  # distances that are none between patches: token to patch, patch to token, token to itself


class Causal(nnx.Module):
    """Minus infinity at the tokens that are still to come."""

    def __call__(self, tokens: int) -> jax.Array:
        """The bias of so many tokens, [1, 1, query, key]."""
        return jnp.where(jnp.tri(tokens, dtype=bool), 0.0, -jnp.inf)[None, None]


class RelativeBias(nnx.Module):
    """A bias of the scores that is learned for each head and distance between two places of a grid.

    Args:
        grid: (rows, columns) of the places, or of a window of them.
        heads: of the attention.
        prefix: tokens before the places, 0 or 1; a token's distances from and to all places are one each (BEiT).
    """

    def __init__(self, grid: tuple[int, int], heads: int, prefix: int = 0):
        if prefix > 1:
            raise InputError(f"a relative bias knows patches and one token before them, not {prefix}")
        self.distances = nnx.Param(jnp.zeros((distances(grid, prefix), heads)))
        self.grid, self.prefix = grid, prefix

    def __call__(self, tokens: int) -> jax.Array:
        """The bias, [1, head, query, key].

        Raises:
            InputError: another number of tokens than the grid and those before it.
        """
        rows = distance_rows(self.grid, self.prefix)
        _all_there(tokens, len(rows))
        return jnp.moveaxis(self.distances[...][rows], -1, 0)[None]

    def between(self, down: jax.Array, right: jax.Array) -> jax.Array:
        """The bias of queries so many rows below and columns right of their keys, [..., head]; any beyond a window."""
        return self.distances[...].at[distance_row(self.grid, down, right)].get(mode="clip")


class LogDistanceBias(nnx.Module):
    """A bias of the scores that a small MLP of each head makes of the logarithm of a distance (Swin V2, 2111.09883).

    Args:
        grid: (rows, columns) of the places.
        heads: of the attention.
        rngs: of the initialisation.
        trained: rows and columns of the grid that distances are shares of, where that is another; 0 for this one.
        hidden: units of the MLP.
    """

    def __init__(self, grid: tuple[int, int], heads: int, rngs: nnx.Rngs, trained: int = 0, hidden: int = 512):
        self.fc1 = nnx.Linear(2, hidden, rngs=rngs)
        self.fc2 = nnx.Linear(hidden, heads, use_bias=False, rngs=rngs)
        self.grid, self.trained = grid, trained

    def __call__(self, tokens: int) -> jax.Array:
        """The bias, [1, head, query, key]; raises as `RelativeBias` does."""
        rows = distance_rows(self.grid, 0)
        _all_there(tokens, len(rows))
        return jnp.moveaxis(self.table()[rows], -1, 0)[None]

    def table(self) -> jax.Array:
        """The bias of each distance, [distance, head]."""
        along = jnp.asarray(log_distances(self.grid, self.trained), self.fc1.kernel.dtype)
        return STRONGEST * jax.nn.sigmoid(self.fc2(jax.nn.relu(self.fc1(along))))

    def between(self, down: jax.Array, right: jax.Array) -> jax.Array:
        """See `RelativeBias.between`."""
        return self.table().at[distance_row(self.grid, down, right)].get(mode="clip")


class UnsignedBias(nnx.Module):
    """A bias of the scores that is learned for each head and for how many rows and columns two places are apart.

    Source: LeViT (Graham et al. 2021, arXiv 2104.01136).

    Args:
        grid: (rows, columns) of the places.
        heads: of the attention.
        step: the queries are every so many rows and columns of the grid.
    """

    def __init__(self, grid: tuple[int, int], heads: int, step: int = 1):
        self.distances = nnx.Param(jnp.zeros((grid[0] * grid[1], heads)))
        self.grid, self.step = grid, step

    def __call__(self, keys: int) -> jax.Array:
        """The bias, [1, head, query, key].

        Raises:
            InputError: another number of keys than the grid has places.
        """
        rows = unsigned_rows(self.grid, self.step)
        _all_there(keys, rows.shape[1])
        return jnp.moveaxis(self.distances[...][rows], -1, 0)[None]


class RotaryTurns(nnx.Module):
    """Turns q and k by angles that grow with a place's row and column; see `Rotary`.

    Tokens before the places do not turn: their angle is zero.
    """

    def __init__(self, rotary: Rotary, grid: tuple[int, int], width: int, prefix: int = 0):
        self.rotary, self.grid, self.width, self.prefix = rotary, grid, width, prefix

    def __call__(self, x: jax.Array) -> jax.Array:
        """Turns the channel pairs of q or k, [batch, token, head, channel], in float32 or wider.

        Raises:
            InputError: another number of tokens than the grid and those before it.
        """
        by = angles(self.rotary, self.grid, self.width, self.prefix)
        _all_there(x.shape[1], len(by))
        wide = jnp.promote_types(x.dtype, jnp.float32)
        cos, sin = (jnp.asarray(part[:, None], wide) for part in (np.cos(by), np.sin(by)))
        if self.rotary.halves:
            first, second = jnp.split(x, 2, axis=-1)
            crossed = jnp.concatenate([-second, first], axis=-1)
        else:
            crossed = jnp.stack([-x[..., 1::2], x[..., ::2]], axis=-1).reshape(x.shape)
        return (x * cos + crossed * sin).astype(x.dtype)


class PositionGate(nnx.Module):
    """Mixes the attention that the scores say with one of places alone, head by head (ConViT, arXiv 2103.10697).

    The latter is a softmax, over the keys, of a linear map of where a key stands from the query: columns to the right,
    rows down, and the square of the distance. A head's gate is its sigmoid: the share of the places.

    Args:
        grid: (rows, columns) of the places, without tokens before them.
        heads: of the attention.
        rngs: of the initialisation.
    """

    def __init__(self, grid: tuple[int, int], heads: int, rngs: nnx.Rngs):
        self.places = nnx.Linear(3, heads, rngs=rngs)
        self.gate = nnx.Param(jnp.ones(heads))
        self.grid = grid

    def __call__(self, probs: jax.Array) -> jax.Array:
        """The mixture, [batch, head, query, key], of probabilities of the same shape.

        Raises:
            InputError: another number of tokens than the grid has.
        """
        _all_there(probs.shape[-1], self.grid[0] * self.grid[1])
        kernel, bias, gate = (
            part[...].astype(probs.dtype) for part in (self.places.kernel, self.places.bias, self.gate)
        )
        at_places = jnp.moveaxis(offsets(self.grid).astype(probs.dtype) @ kernel + bias, -1, 0)
        share = jax.nn.sigmoid(gate)[:, None, None]
        mixed = (1 - share) * probs + share * jax.nn.softmax(at_places)
        return mixed / mixed.sum(axis=-1, keepdims=True)


def offsets(grid: tuple[int, int]) -> np.ndarray:
    """Where each key stands from each query, [query, key, 3]: columns to the right, rows down, the squared distance."""
    rows, columns = (index.reshape(-1) for index in np.indices(grid))
    down, right = rows - rows[:, None], columns - columns[:, None]
    return np.stack([right, down, right**2 + down**2], axis=-1)


def sinusoids(count: int, width: int) -> np.ndarray:
    """Positions that are not learned, [place, channel]: sines and cosines by turns, slower from pair to pair."""
    pairs = np.arange(width) // 2
    turned = np.arange(count)[:, None] / 10000.0 ** (2 * pairs / width)
    return np.where(np.arange(width) % 2, np.cos(turned), np.sin(turned)).astype(np.float32)


def angles(rotary: Rotary, grid: tuple[int, int], width: int, prefix: int) -> np.ndarray:
    """The angles by which the channels of a head of this width turn, [token, channel], float64."""
    bands = rotary.temperature ** -np.linspace(0, 1, width // 4, endpoint=False)
    along = np.meshgrid(*(_coordinates(rotary, axis, count) for axis, count in enumerate(grid)), indexing="ij")
    along = along[:: -1 if rotary.columns_first else 1]
    found = np.concatenate([np.outer(coordinate, bands) for coordinate in along], axis=1)
    found = np.tile(found, 2) if rotary.halves else np.repeat(found, 2, axis=1)
    return np.concatenate([np.zeros((prefix, width)), found])


def distances(grid: tuple[int, int], prefix: int = 1) -> int:
    """Rows of a table of relative positions: all (row, column) distances between two places, and those of a token."""
    return (2 * grid[0] - 1) * (2 * grid[1] - 1) + DISTANT * prefix


def distance_rows(grid: tuple[int, int], prefix: int = 1) -> np.ndarray:
    """The row of the table for each query and key, [token, token], of the token, if any, and then the places."""
    rows, columns = (index.reshape(-1) for index in np.indices(grid))
    between = distance_row(grid, rows[:, None] - rows, columns[:, None] - columns)
    table = np.pad(between, ((prefix, 0), (prefix, 0)))
    if prefix:
        last = distances(grid)
        table[0, :], table[:, 0], table[0, 0] = last - 3, last - 2, last - 1
    return table


def distance_row(grid: tuple[int, int], down: Numbers, right: Numbers) -> Numbers:
    """The row of the table for queries so many rows below and columns right of their keys."""
    return (down + grid[0] - 1) * (2 * grid[1] - 1) + right + grid[1] - 1


def log_distances(grid: tuple[int, int], trained: int = 0) -> np.ndarray:
    """(row, column) of each distance on the scale of `LogDistanceBias`, as `distance_rows` counts them: [distance, 2].

    A distance of the whole grid is 8, and the logarithm's base is 8 too; in float32, as timm makes them.
    """
    along = []
    for side in grid:
        share = np.arange(1 - side, side, dtype=np.float32) / np.float32(max((trained or side) - 1, 1)) * np.float32(8)
        along.append(np.sign(share) * np.log2(np.abs(share) + np.float32(1)) / np.float32(3))
    return np.stack(np.meshgrid(*along, indexing="ij"), axis=-1).reshape(-1, 2)


def unsigned_rows(grid: tuple[int, int], step: int = 1) -> np.ndarray:
    """The row of a table of unsigned distances for each query, on every `step`-th row and column, and key."""
    rows, columns = np.indices(grid)
    of = [axis[::step, ::step].reshape(-1, 1) for axis in (rows, columns)]
    return abs(of[0] - rows.reshape(-1)) * grid[1] + abs(of[1] - columns.reshape(-1))


def _coordinates(rotary: Rotary, axis: int, count: int) -> np.ndarray:
    """The coordinates of the places along the rows (axis 0) or columns (axis 1)."""
    if rotary.centred:
        return 2 * np.pi * (2 * (np.arange(count) + 0.5) / count - 1)
    scale = rotary.reference[axis] / count if rotary.reference else 1
    return (np.arange(count) + rotary.offset) * scale


def _all_there(tokens: int, due: int) -> None:
    if tokens != due:
        raise InputError("tokens cannot be dropped from this model: its attention knows each by its position")
