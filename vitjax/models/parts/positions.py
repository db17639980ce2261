"""A patch grid in, what the attention of rotary and relative positions needs of it out, as constants of the program."""

import jax
import jax.numpy as jnp
import numpy as np

from vitjax.models.core.config import Rotary, ViTConfig

DISTANT = 3  # distances that are none between patches: token to patch, patch to token, token to itself

Turns = tuple[np.ndarray, np.ndarray]


def turns(config: ViTConfig) -> Turns | None:
    """Cosine and sine of the angles by which q and k turn, each [token, 1, channel], float64; None without `rotary`.

    Tokens before the patches do not turn: their angle is zero.
    """
    rotary = config.rotary
    if rotary is None:
        return None
    bands = rotary.temperature ** -np.linspace(0, 1, config.head_width // 4, endpoint=False)
    along = np.meshgrid(*(_coordinates(rotary, axis, count) for axis, count in enumerate(config.grid)), indexing="ij")
    along = along[:: -1 if rotary.columns_first else 1]
    angles = np.concatenate([np.outer(coordinate, bands) for coordinate in along], axis=1)
    angles = np.tile(angles, 2) if rotary.halves else np.repeat(angles, 2, axis=1)
    angles = np.concatenate([np.zeros((config.prefix, config.head_width)), angles])[:, None]
    return np.cos(angles), np.sin(angles)


def turn(x: jax.Array, by: Turns, halves: bool) -> jax.Array:
    """Turns the channel pairs of q or k [batch, token, head, channel], in float32 or wider."""
    wide = jnp.promote_types(x.dtype, jnp.float32)
    cos, sin = (jnp.asarray(part, wide) for part in by)
    if halves:
        first, second = jnp.split(x, 2, axis=-1)
        crossed = jnp.concatenate([-second, first], axis=-1)
    else:
        crossed = jnp.stack([-x[..., 1::2], x[..., ::2]], axis=-1).reshape(x.shape)
    return (x * cos + crossed * sin).astype(x.dtype)


def distances(grid: tuple[int, int]) -> int:
    """Rows of a table of relative positions: all (row, column) distances between two patches, and `DISTANT`."""
    return (2 * grid[0] - 1) * (2 * grid[1] - 1) + DISTANT


def distance_rows(grid: tuple[int, int]) -> np.ndarray:
    """The row of the table for each query and key, [token, token], of one token and then the patches (BEiT)."""
    rows, columns = (index.reshape(-1) for index in np.indices(grid))
    between = (rows[:, None] - rows + grid[0] - 1) * (2 * grid[1] - 1) + columns[:, None] - columns + grid[1] - 1
    table = np.pad(between, ((1, 0), (1, 0)))
    last = distances(grid)
    table[0, :], table[:, 0], table[0, 0] = last - 3, last - 2, last - 1
    return table


def _coordinates(rotary: Rotary, axis: int, count: int) -> np.ndarray:
    """The coordinates of the patches along the rows (axis 0) or columns (axis 1)."""
    if rotary.centred:
        return 2 * np.pi * (2 * (np.arange(count) + 0.5) / count - 1)
    scale = rotary.reference[axis] / count if rotary.reference else 1
    return (np.arange(count) + rotary.offset) * scale
