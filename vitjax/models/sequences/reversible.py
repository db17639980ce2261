"""Reversible residuals: two streams of tokens, of which a backward pass makes each block's input from its output.

Gomez et al. 2017 (arXiv 1707.04585), as in Reformer (2001.04451, section 3): y1 = x1 + attention(x2) and
y2 = x2 + MLP(y1), so x2 = y2 - MLP(y1) and x1 = y1 - attention(x2). What is kept does not grow with the depth. The
streams are float32 at least, whatever the weights are: else what is made again would not be what was.
"""

from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from vitjax.models.core.execution import PLAIN, Execution
from vitjax.models.core.taps import Taps
from vitjax.models.parts.block import TOKENS, Block
from vitjax.models.parts.norm import among

Streams = tuple[Float[Array, "batch token channel"], Float[Array, "batch token channel"]]
Present = Bool[Array, "batch token"]


class ReversibleBlock(Block):
    """A block of two streams; `resid_pre` and `resid_post` are the second, `resid_mid` is the first."""

    def __call__(self, x: Streams, taps: Taps, execution: Execution = PLAIN, present: Present | None = None) -> Streams:
        x1, x2 = x
        x2 = taps("resid_pre", x2, TOKENS)
        y1 = taps("resid_mid", x1 + self.attended(x2, taps, execution, present), TOKENS)
        return y1, taps("resid_post", x2 + self.changed(y1, taps, execution, present), TOKENS)

    def attended(self, x2: Array, taps: Taps, execution: Execution, present: Present | None) -> Array:
        """What attention adds to the first stream."""
        out = self.attn(self._read(self.norm1, x2, execution, present), taps.scope(self.called), execution, present)
        return taps(f"{self.called}.out", out * self.scale1[...] if self.scaled else out, TOKENS)

    def changed(self, y1: Array, taps: Taps, execution: Execution, present: Present | None) -> Array:
        """What the MLP adds to the second stream."""
        out = self.mlp(self._read(self.norm2, y1, execution, present), taps.scope("mlp"))
        return taps("mlp.out", out * self.scale2[...] if self.scaled else out, TOKENS)

    def _read(self, norm: nnx.Module, x: Array, execution: Execution, present: Present | None) -> Array:
        """What a branch reads of a stream, in the dtype of the weights."""
        return among(norm, standing(present), execution)(x).astype(self.mlp.fc2.kernel.dtype)


def standing(present: Present | None) -> Int[Array, "batch token"] | None:
    """Where tokens stand, for norms across tokens: -1 for those that a sequence is filled up with."""
    return None if present is None else jnp.where(present, jnp.arange(present.shape[1]), -1)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def through(execution: Execution, blocks: ReversibleBlock, x: Streams, present: Present) -> Streams:
    """Runs all blocks, whose parameters carry a leading axis of depth, without keeping what is between them."""
    step = lambda x, block: (block(x, Taps(), execution, present), None)
    return lax.scan(step, x, blocks)[0]


def _forward(execution: Execution, blocks: ReversibleBlock, x: Streams, present: Present) -> tuple[Streams, tuple]:
    y = through(execution, blocks, x, present)
    return y, (blocks, y, present)


def _backward(execution: Execution, kept: tuple, gradient: Streams) -> tuple:
    blocks, y, present = kept

    def step(carried: tuple[Streams, Streams], block: ReversibleBlock) -> tuple[tuple[Streams, Streams], Array]:
        (y1, y2), (d1, d2) = carried
        out, back = jax.vjp(lambda block, y1: block.changed(y1, Taps(), execution, present), block, y1)
        x2 = y2 - out
        mlp, more = back(d2.astype(out.dtype))
        d1 = d1 + more
        out, back = jax.vjp(lambda block, x2: block.attended(x2, Taps(), execution, present), block, x2)
        x1 = y1 - out
        attention, more = back(d1.astype(out.dtype))
        return ((x1, x2), (d1, d2 + more)), jax.tree.map(lax.add, mlp, attention)

    (_, gradient), of_blocks = lax.scan(step, (y, gradient), blocks, reverse=True)
    return of_blocks, gradient, None


through.defvjp(_forward, _backward)
