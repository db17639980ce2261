"""The ways from one stage of a hierarchical Transformer to the next, which has fewer tokens and more channels."""

import jax
import jax.numpy as jnp
from flax import nnx

from vitjax.models.core.config import BlockConfig, whole
from vitjax.models.core.tap_site import Places
from vitjax.models.core.taps import Taps
from vitjax.models.kernels.dense import dense
from vitjax.models.parts.attention import HEADS, attend
from vitjax.models.parts.depthwise import apart, together
from vitjax.models.parts.mlp import ACTIVATIONS, Mlp
from vitjax.models.parts.norm import norm
from vitjax.models.parts.patches import OverlappingPatches, PatchEmbedding
from vitjax.models.parts.positions import UnsignedBias

TOKENS = "token channel"
Grid = tuple[int, int]  # (rows, columns)


class PatchMerging(nnx.Module):
    """Makes one token of every two by two (Swin, arXiv 2103.14030): [batch, token, channel] to a quarter of the tokens.

    An odd grid is filled up with zeros at its lower and right end. Where blocks are normed after their parts, so is
    this (Swin V2): the norm is of what comes out.

    Args:
        before: of the blocks that gave the tokens.
        after: of the blocks that read them, twice as wide.
        grid: (rows, columns) of the tokens that come in.
        rngs: of the initialisation.
    """

    def __init__(self, before: BlockConfig, after: BlockConfig, grid: tuple[int, int], rngs: nnx.Rngs):
        self.after = after.normed == "after"
        self.norm = norm(after, rngs) if self.after else norm(before, rngs, 4 * before.width)
        self.reduction = nnx.Linear(4 * before.width, after.width, use_bias=False, rngs=rngs)
        self.grid = grid

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.joined(cells(x, self.grid))

    def joined(self, x: jax.Array) -> jax.Array:
        """Makes a token of the vectors of each cell, the left two and then the right: [batch, cell, 4 channels]."""
        return self.norm(self.reduction(x)) if self.after else self.reduction(self.norm(x))


class PatchStep(nnx.Module):
    """Makes one token of every cell of tokens by one linear map and its norm: [batch, token, channel] to fewer of them.

    Rows and columns beyond the last whole cell are left out. It leads from stage to stage in PVT (arXiv 2102.12122),
    Twins and CoaT, and in the first two it gives attention fewer keys.

    Args:
        before: channels of the tokens that come in.
        after: of the norm.
        grid: (rows, columns) of the tokens that come in.
        rngs: of the initialisation.
        size: rows and columns of a cell.
    """

    def __init__(self, before: int, after: BlockConfig, grid: Grid, rngs: nnx.Rngs, size: int = 2):
        self.patch, self.norm = PatchEmbedding((size, size), before, after.width, rngs), norm(after, rngs)
        self.grid, self.size = grid, size

    @property
    def reached(self) -> Grid:
        """(rows, columns) of the tokens that it gives."""
        return tuple(side // self.size for side in self.grid)

    @property
    def places(self) -> Places:
        """What the tokens that it gives stand on; not said where they leave rows or columns of the image out."""
        return Places(None if any(side % self.size for side in self.grid) else self.reached)

    def __call__(self, x: jax.Array) -> jax.Array:
        rows, columns = whole(self.grid, (self.size, self.size))
        _, cells = apart(x, Places(self.grid))
        return self.norm(self.patch.tokens(cells[:, :rows, :columns]))

    def joined(self, x: jax.Array) -> jax.Array:
        """Makes a token of the vectors of each cell, row by row: [batch, cell, size² · channel]."""
        return self.norm(self.patch(x))


class OverlappingStep(nnx.Module):
    """Makes a quarter of the tokens by a convolution of three by three and its norm (PVT v2, arXiv 2106.13797).

    [batch, token, channel]; of an odd number of rows or columns half of one more.

    Args:
        before: channels of the tokens that come in.
        after: of the norm.
        grid: (rows, columns) of the tokens that come in.
        rngs: of the initialisation.
    """

    def __init__(self, before: int, after: BlockConfig, grid: Grid, rngs: nnx.Rngs):
        self.patch, self.norm = OverlappingPatches(3, 2, before, after.width, rngs), norm(after, rngs)
        self.grid = grid

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.norm(self.patch.tokens(apart(x, Places(self.grid))[1]))


class AttendedMerging(nnx.Module):
    """Lets every second row and column of tokens attend to all, then runs an MLP (LeViT, arXiv 2104.01136).

    [batch, token, channel] to a quarter of the tokens. The attention's output has no shortcut around it; its taps are
    called as a block's.

    Args:
        before: of the blocks that gave the tokens.
        after: of the MLP.
        heads: of the attention.
        size: channels of a head's q and k; its v has four times as many.
        grid: (rows, columns) of the tokens that come in.
        rngs: of the initialisation.
    """

    def __init__(
        self, before: BlockConfig, after: BlockConfig, heads: int, size: int, grid: tuple[int, int], rngs: nnx.Rngs
    ):
        self.attn = SubsampledAttention(before, after, heads, size, grid, rngs)
        self.mlp = Mlp(after, rngs)

    def __call__(self, x: jax.Array, taps: Taps) -> jax.Array:
        x = taps("resid_mid", taps("attn.out", self.attn(x, taps.scope("attn")), TOKENS), TOKENS)
        return taps("resid_post", x + taps("mlp.out", self.mlp(x, taps.scope("mlp")), TOKENS), TOKENS)


class SubsampledAttention(nnx.Module):
    """Attention of every second row and column of tokens to all of them; see `AttendedMerging` for the arguments.

    `mixed` is what the probabilities make of v, `z` what the output projection reads: `mixed` after the activation
    function.
    """

    def __init__(
        self, before: BlockConfig, after: BlockConfig, heads: int, size: int, grid: tuple[int, int], rngs: nnx.Rngs
    ):
        self.q = dense(before.width, (heads, size), rngs)
        self.kv = dense(before.width, (heads, 5 * size), rngs)
        self.proj = dense((heads, 4 * size), after.width, rngs)
        self.bias = UnsignedBias(grid, heads, step=2)
        self.grid, self.size, self.activation = grid, size, after.activation

    def __call__(self, x: jax.Array, taps: Taps) -> jax.Array:
        fewer = x.reshape(len(x), *self.grid, -1)[:, ::2, ::2].reshape(len(x), -1, x.shape[-1])
        k, v = jnp.split(self.kv(x), [self.size], axis=-1)
        there = taps.at(Places(self.grid))
        q, k, v = taps("q", self.q(fewer), HEADS), there("k", k, HEADS), there("v", v, HEADS)
        mixed = taps("mixed", attend(q, k, v, taps, bias=lambda: self.bias(x.shape[1])), HEADS)
        return self.proj(taps("z", ACTIVATIONS[self.activation](mixed), HEADS))


class StridedPooling(nnx.Module):
    """Makes a quarter of the tokens on a grid, and as many before it, all of them wider (PiT, arXiv 2103.16302).

    On the grid a convolution makes several channels of each one by itself; tokens before it have a dense layer. Where
    these were left alone, they stay alone.

    Args:
        before: channels of the tokens that come in.
        after: of those that come out, a multiple.
        places: that the tokens stand on which come in.
        rngs: of the initialisation.
    """

    def __init__(self, before: int, after: int, places: Places, rngs: nnx.Rngs):
        self.conv = nnx.Conv(before, after, (3, 3), strides=2, padding=1, feature_group_count=before, rngs=rngs)
        self.dense = nnx.Linear(before, after, rngs=rngs)
        self.places = places

    def __call__(self, x: jax.Array) -> jax.Array:
        if x.shape[1] == self.places.prefix:
            return self.dense(x)
        before, grid = apart(x, self.places)
        return together(self.dense(before), self.conv(grid))


def cells(x: jax.Array, grid: tuple[int, int]) -> jax.Array:
    """The vectors of every two by two tokens as one, column by column: [batch, cell, 4 channels]."""
    rows, columns = grid
    x = jnp.pad(x.reshape(len(x), rows, columns, -1), ((0, 0), (0, rows % 2), (0, columns % 2), (0, 0)))
    x = x.reshape(len(x), x.shape[1] // 2, 2, x.shape[2] // 2, 2, -1).transpose(0, 1, 3, 4, 2, 5)
    return x.reshape(len(x), x.shape[1] * x.shape[2], -1)
