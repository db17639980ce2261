"""Attention whose keys and values are of fewer places than its queries (PVT, arXiv 2102.12122; Twins' global part)."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from vitjax.models.core.config import BlockConfig
from vitjax.models.core.execution import PLAIN, Execution
from vitjax.models.core.tap_site import Places
from vitjax.models.core.taps import Taps
from vitjax.models.kernels.dense import dense, unpacked
from vitjax.models.parts.attention import HEADS, attend
from vitjax.models.parts.depthwise import apart
from vitjax.models.parts.merging import Grid, PatchStep
from vitjax.models.parts.mlp import gelu
from vitjax.models.parts.norm import norm
from vitjax.models.visible import Visible, cells


class ReducedAttention(nnx.Module):
    """Multi-head attention of all tokens to fewer, [batch, token, channel] to the same.

    The taps `k`, `v` and `source`, what both are made of, are of tokens on the fewer places, of which it is only said
    where they are if each is of as many of the tokens that come in. The latter are the queries of `scores`.

    Args:
        config: of the blocks.
        rngs: of the initialisation.
        step: makes the fewer tokens of those that come in, and says on what `places` they stand; default all tokens as
            they are.
    """

    def __init__(self, config: BlockConfig, rngs: nnx.Rngs, step: "PatchStep | PooledStep | None" = None):
        heads, size, bias = config.heads, config.head_width, config.qkv_bias
        self.q = dense(config.width, (heads, size), rngs, bias)
        self.kv = dense(config.width, (2, heads, size), rngs, bias)
        self.proj = dense((heads, size), config.width, rngs)
        self.step = step

    def __call__(
        self, x: jax.Array, taps: Taps, execution: Execution = PLAIN, visible: Visible | None = None
    ) -> jax.Array:
        q, among = taps("q", self.q(x), HEADS), taps
        if self.step is not None and visible is not None:  # then x are these
            x = self.step.joined(cells(x, self.step.size))
        elif self.step is not None:
            x, among = self.step(x), taps.at(self.step.places)
        kv = self.kv(among("source", x, "token channel"))
        k, v = (among(name, part, HEADS) for name, part in zip("kv", unpacked(kv), strict=True))
        return self.proj(taps("z", attend(q, k, v, taps, execution), HEADS))


class PooledStep(nnx.Module):
    """Makes a fixed number of tokens of any grid by the means over its cells, a linear map, a norm and GELU (PVT v2).

    Args:
        config: of the norm.
        grid: (rows, columns) of the tokens that come in.
        side: rows and columns of those that it gives.
        rngs: of the initialisation.
    """

    def __init__(self, config: BlockConfig, grid: Grid, side: int, rngs: nnx.Rngs):
        self.map, self.norm = nnx.Linear(config.width, config.width, rngs=rngs), norm(config, rngs)
        self.grid, self.reached = grid, (side, side)

    @property
    def places(self) -> Places:
        """What the tokens that it gives stand on; not said where its cells overlap."""
        return Places(None if any(side % self.reached[0] for side in self.grid) else self.reached)

    def __call__(self, x: jax.Array) -> jax.Array:
        _, grid = apart(x, Places(self.grid))
        down, across = (jnp.asarray(means(*sides), x.dtype) for sides in zip(self.reached, self.grid, strict=True))
        cells = jnp.einsum("brsc,pr,qs->bpqc", grid, down, across)
        return gelu(self.norm(self.map(cells.reshape(len(x), -1, x.shape[-1]))))


def means(cells: int, places: int) -> np.ndarray:
    """The share of each place of a line in the mean over each cell, [cell, place]; cells may overlap by a place.

    Cell i is of the places from i·places / cells, rounded down, to (i + 1)·places / cells, rounded up. Source: torch,
    `AdaptiveAvgPool2d`.
    """
    cell, place = np.arange(cells)[:, None], np.arange(places)
    inside = (place >= cell * places // cells) & (place < -(-(cell + 1) * places // cells))
    return inside / inside.sum(axis=1, keepdims=True)
