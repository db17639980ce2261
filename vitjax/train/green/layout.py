"""Masks as arrays of fixed shapes, and what an encoder is told of them within a compiled program."""

from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from vitjax.models.parts.windows import Windows
from vitjax.models.visible import Groups, Visible, order
from vitjax.train.green.geometry import Geometry, StageGeometry, windows_of


class Shape(NamedTuple):
    """How many groups the tokens of a stage are packed into, and the places in each."""

    groups: int
    size: int


class Plan(NamedTuple):
    """A mask and how the visible tokens are packed; or several, with an axis more in front.

    Attributes:
        drawn: the visible units, in the order in which they were drawn.
        starts: for each kind of windows that is packed, stage by stage, where each window begins among the places of
            all groups; of windows without visible tokens any number.
    """

    drawn: Int[Array, " unit"]
    starts: tuple[Int[Array, " window"], ...] = ()


@dataclass(frozen=True)
class Layout:
    """What all plans of a bank have in common.

    Attributes:
        geometry: of the encoder.
        visible: how many units are.
        shapes: of the groups for each stage and kind of windows; None for one group of all tokens.
    """

    geometry: Geometry
    visible: int
    shapes: tuple[tuple[Shape | None, ...], ...]

    def of(self, plan: Plan) -> list[Visible]:
        """The visible tokens of each stage."""
        units, starts, found = jnp.sort(plan.drawn), iter(plan.starts), []
        for stage, shapes in zip(self.geometry.stages, self.shapes, strict=True):
            rows, columns = places(stage, units, self.geometry)
            at = rows * stage.grid[1] + columns
            groups = {
                cut: _groups(cut, shape, at, rows, columns, None if shape is None else next(starts))
                for cut, shape in zip(stage.cuts, shapes, strict=True)
            }
            found.append(Visible(stage.grid, at, groups))
        return found


def places(
    stage: StageGeometry, units: Int[Array, " unit"], geometry: Geometry
) -> tuple[Int[Array, " token"], Int[Array, " token"]]:
    """The rows and columns of the tokens of some units, in the order of `vitjax.models.visible`."""
    within = order(stage.side)
    down, across = units // geometry.grid[1], units % geometry.grid[1]
    rows, columns = (stage.side * at[:, None] + within[:, axis] for axis, at in enumerate((down, across)))
    return rows.reshape(-1), columns.reshape(-1)


def _groups(cut: Windows, shape: Shape | None, at: Array, rows: Array, columns: Array, starts: Array | None) -> Groups:
    windows = jnp.asarray(windows_of(cut))[at]
    slots = back = None
    if shape is None:
        windows, rows, columns = windows[None], rows[None], columns[None]
    else:
        back = _back(windows, starts)
        slots = jnp.full(shape.groups * shape.size, -1, jnp.int32)
        slots = slots.at[back].set(np.arange(len(at), dtype=np.int32), unique_indices=True)
        windows = jnp.where(slots >= 0, windows[slots], -1).reshape(shape)
        rows, columns = (along[slots].reshape(shape) for along in (rows, columns))
    pairs = lambda of: (of[:, :, None], of[:, None, :])
    query, key = pairs(windows)
    apart = [query - key for query, key in map(pairs, (rows, columns))]
    return Groups(slots, back, (query == key) & (query >= 0), *apart)


def _back(windows: Int[Array, " token"], starts: Int[Array, " window"]) -> Int[Array, " token"]:
    """The place of each token: those of a window come from its start on."""
    earlier = np.tri(len(windows), k=-1, dtype=bool) & (windows[:, None] == windows)
    return (starts[windows] + earlier.sum(axis=1)).astype(windows.dtype)
