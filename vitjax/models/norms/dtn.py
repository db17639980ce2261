"""Dynamic Token Normalization: statistics of a token's own channels mixed with those of the tokens around it.

Shao et al. 2022 (arXiv 2112.02624). Of T tokens with C channels in several heads, each with its own λ in [0, 1] and P,
a token x becomes γ (x - M) / √(V + ε) + β, where

- M = λ μ + (1 - λ) P x and V = λ σ² + (1 - λ) (P x² - (P x)²),
- μ and σ² are mean and variance of the token over all C channels, as in LayerNorm,
- P is a softmax over positions (`vitjax.models.norms.neighbours`), learned by each head, with rows that sum to 1.

With λ = 1 it is LayerNorm; with λ = 0 and P = 1/T it is instance normalization. It keeps no moving statistics.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from math import prod

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from vitjax.errors import InputError
from vitjax.models.core.execution import PLAIN, Execution
from vitjax.models.norms.neighbours import LEAST, Along, Grid, along, beginning, spread, whole

MOST = 14  # rows and columns over which a pooling preset takes P
STD = 0.02  # of what overwrites the beginning
# Platforms whose products are of large matrices, and up to how many places P is one of these there: of more its
# operations cost more time than passes over the tokens, axis by axis.
WHOLE = {"tpu": 1024}
Spread = Callable[[jax.Array], jax.Array]


@dataclass(frozen=True)
class Preset:
    """Where the paper and the code that its models were trained by differ.

    Attributes:
        prenorm: whether each head's channels are divided by their root mean square first; then these are normalised.
        ddof: what is taken from the number of channels in the variance within a token.
        tied: whether a head mixes means and variances by one λ, or by one each.
        overwritten: whether what P begins with is drawn from a normal distribution, as general rules for dense layers
            left it in all released models, in place of one neighbour for each head.
        pool: whether P is taken over means of cells where there are more than 14 rows and columns.
        separable: whether P is taken axis by axis where that is faster, which gives the same at a fraction of the
            operations, or always as one matrix of all places.
    """

    prenorm: bool = False
    ddof: int = 0
    tied: bool = True
    overwritten: bool = False
    pool: bool = False
    separable: bool = True


PAPER = Preset()
REFERENCE = Preset(prenorm=True, ddof=1, tied=False, overwritten=True, pool=True)
# By the name of the norm in a config.
PRESETS = {
    "dtn": PAPER,
    "dtn-dense": replace(PAPER, separable=False),
    "dtn-overwritten": replace(PAPER, overwritten=True),
    "dtn-reference": REFERENCE,
}


class TokenNorm(nnx.Module):
    """Dynamic Token Normalization of tokens that stand on a grid, [batch, token, channel] to the same.

    Statistics are taken in float32 at least, of tokens less their mean, so that nothing cancels in 16 bits.

    Args:
        width: channels.
        heads: that these are split into.
        grid: (rows, columns) of the tokens, row by row, or (tokens,) of a sequence; there is no token beside them.
        rngs: of the initialisation.
        eps: added to variances.
        preset: which of its forms.

    Raises:
        InputError: channels that do not split into heads, or a grid of another number of axes.
    """

    def __init__(self, width: int, heads: int, grid: Grid, rngs: nnx.Rngs, eps: float = 1e-5, preset: Preset = PAPER):
        if width % heads:
            raise InputError(f"DTN has statistics for each head, but width {width} does not split into {heads} heads")
        if len(grid) not in (1, 2):
            raise InputError(f"DTN normalises sequences and grids of rows and columns, not {len(grid)} axes")
        self.scale, self.bias = nnx.Param(jnp.ones(width)), nnx.Param(jnp.zeros(width))
        if preset.tied:
            self.mix = nnx.Param(jnp.zeros(heads))  # λ = 1/2
        else:
            self.mix_mean, self.mix_variance = nnx.Param(jnp.zeros(heads)), nnx.Param(jnp.zeros(heads))
        terms = jnp.asarray(beginning(heads, len(grid)))
        if preset.overwritten:
            terms = STD * jax.random.normal(rngs.params(), terms.shape)
        self.position = nnx.Param(terms)
        self.heads, self.grid, self.eps, self.preset = heads, tuple(grid), eps, preset

    def __call__(
        self, x: jax.Array, places: Int[Array, "*batch token"] | None = None, execution: Execution = PLAIN
    ) -> jax.Array:
        """Normalises.

        Args:
            x: the tokens.
            places: which place of the grid each of them stands on, counted row by row, where only some are there; -1
                for a token that stands nowhere, as what a sequence is filled up with: of it no other token knows.
                Default all places, as they come.
            execution: on what it runs, and whether by kernels, which have no forward derivative.

        Raises:
            InputError: without `places`, another number of tokens than the grid has; with them, a preset that pools.
        """
        wide = jnp.promote_types(x.dtype, jnp.float32)
        z = x.astype(wide)
        if self.preset.prenorm:
            heads = z.reshape(*z.shape[:2], self.heads, -1)
            z = (heads * jax.lax.rsqrt(jnp.square(heads).mean(axis=-1, keepdims=True) + self.eps)).reshape(z.shape)
        mixes = (self.mix, self.mix) if self.preset.tied else (self.mix_mean, self.mix_variance)
        of_mean, of_variance = (
            jnp.repeat(jax.nn.sigmoid(mix[...].astype(wide)), z.shape[2] // self.heads) for mix in mixes
        )
        scale, bias = self.scale[...].astype(wide), self.bias[...].astype(wide)
        if places is None and z.shape[1] != prod(self.grid):
            raise InputError(self._unfilled(z.shape[1]))
        if places is None and self._cell() == 1 and execution.fused:
            from vitjax.models.kernels import tpu_token_norm  # which imports Pallas: a fifth of a second

            if tpu_token_norm.takes(read := z if self.preset.prenorm else x, self.heads):
                form = tpu_token_norm.Form(self.heads, self.eps, self.preset.ddof)
                rows = jnp.stack([of_mean, of_variance, scale, bias])
                return tpu_token_norm.normed(form, read, self.whole(wide), rows).astype(x.dtype)
        mean = z.mean(axis=2, keepdims=True)
        variance = jnp.square(z - mean).sum(axis=2, keepdims=True) / (z.shape[2] - self.preset.ddof)
        most = WHOLE.get(execution.platform, 0)
        spread = partial(self._spread, at_once=not self.preset.separable or prod(self._cells()) <= most)
        around, square = self._around(z, spread) if places is None else self._among(z, spread, places)
        z = z - (of_mean * mean + (1 - of_mean) * around)
        z = z * jax.lax.rsqrt(of_variance * variance + (1 - of_variance) * square + self.eps)
        return (z * scale + bias).astype(x.dtype)

    def along(self, dtype: jnp.dtype = jnp.float32) -> Along:
        """The matrices that P is the product of, one for each axis of the grid, or of that of the cells it pools."""
        return along(self.position[...].astype(dtype), self._cells())

    def whole(self, dtype: jnp.dtype = jnp.float32) -> Float[Array, "head source reader"]:
        """The matrix P of all places, or of all cells."""
        return whole(self.position[...].astype(dtype), self._cells())

    def _around(self, z: jax.Array, spread: Spread) -> tuple[jax.Array, jax.Array]:
        """Mean and variance of each channel over a token's neighbours, of all tokens less their mean."""
        centre = z.mean(axis=1, keepdims=True)
        cells = self._pooled(z - centre)
        mean, square = spread(cells), spread(jnp.square(cells))
        return self._grown(mean) + centre, self._grown(jnp.maximum(square - jnp.square(mean), 0))

    def _among(self, z: jax.Array, spread: Spread, places: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The same where only some tokens are there, by the mass that P has on these."""
        if self._cell() > 1:
            raise InputError("this form of DTN pools cells of tokens, of which none can be left out: use norm='dtn'")
        if places.shape[-1] != z.shape[1]:
            raise InputError(f"{z.shape[1]} tokens do not stand on {places.shape[-1]} places: an edit dropped some")
        places, size = jnp.broadcast_to(places, z.shape[:2]), prod(self.grid)
        there = (places >= 0)[..., None]
        onto = jnp.where(places >= 0, places, size)  # beyond the grid, where nothing is written
        batch = jnp.arange(len(z))[:, None]
        laid = lambda x: jnp.zeros((len(x), size, x.shape[2]), x.dtype).at[batch, onto].set(x, mode="drop")
        read = lambda x: x.at[batch, onto].get(mode="clip")
        centre = jnp.where(there, z, 0).sum(axis=1, keepdims=True) / jnp.maximum(there.sum(axis=1, keepdims=True), 1)
        mass = read(spread(laid(jnp.broadcast_to(there, (*places.shape, self.heads)).astype(z.dtype))))
        mass = jnp.where(there & (mass > LEAST), mass, 1)  # a gradient is divided by its square
        mass = jnp.repeat(mass, z.shape[2] // self.heads, axis=2)
        z = laid(z - centre)
        mean, square = read(spread(z)) / mass, read(spread(jnp.square(z))) / mass
        return mean + centre, jnp.maximum(square - jnp.square(mean), 0)

    def _spread(self, x: jax.Array, at_once: bool) -> jax.Array:
        """Takes P of [batch, place, channel], as one matrix or axis by axis."""
        return spread(x, [self.whole(x.dtype)] if at_once else self.along(x.dtype))

    def _cells(self) -> Grid:
        """The grid of the cells it pools, of one token each where it pools none."""
        cell = self._cell()
        return tuple(side // cell for side in self.grid)

    def _cell(self) -> int:
        """Rows and columns of a cell whose mean stands for its tokens."""
        if not self.preset.pool:
            return 1
        return max(
            size for size in range(1, 1 + max(1, max(self.grid) // MOST)) if not any(s % size for s in self.grid)
        )

    def _pooled(self, z: jax.Array) -> jax.Array:
        """The means over cells, [batch, cell, channel]."""
        if (cell := self._cell()) == 1:
            return z
        cut = [part for side in self.grid for part in (side // cell, cell)]
        pooled = z.reshape(len(z), *cut, z.shape[2]).mean(axis=tuple(range(2, 1 + len(cut), 2)))
        return pooled.reshape(len(z), -1, z.shape[2])

    def _grown(self, z: jax.Array) -> jax.Array:
        """What each cell has for each of its tokens."""
        if (cell := self._cell()) == 1:
            return z
        z = z.reshape(len(z), *(side // cell for side in self.grid), z.shape[2])
        for axis in range(len(self.grid)):
            z = jnp.repeat(z, cell, axis=1 + axis)
        return z.reshape(len(z), -1, z.shape[-1])

    def _unfilled(self, tokens: int) -> str:
        grid = "x".join(map(str, self.grid))
        if tokens == prod(self.grid) + 1:
            return f"DTN normalises the {grid} patches alone, without a class token before them: let it join later"
        return f"{tokens} tokens do not fill a grid of {grid}: this model's norms know each by its place, none may lack"
