"""A Transformer block: attention and an MLP, each read from and added to the residual stream."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx

from vitjax.models.core.config import BlockConfig
from vitjax.models.core.execution import PLAIN, Execution
from vitjax.models.core.taps import Taps
from vitjax.models.parts.attention import Attention
from vitjax.models.parts.mlp import Mlp
from vitjax.models.parts.norm import Grid, norm

TOKENS = "token channel"
Make = Callable[[nnx.Rngs], nnx.Module]


class Block(nnx.Module):
    """A pre-norm Transformer block; `attn.out` and `mlp.out` are what it adds to the residual stream.

    Args:
        config: its shape.
        rngs: of the initialisation.
        attn: makes its attention, a function (tokens, taps, execution) to tokens; default global attention.
        mlp: makes its MLP, a function (tokens, taps) to tokens; default `Mlp`.
        grid: (rows, columns) of its tokens, for norms that depend on it.

    Attributes:
        kept: what the backward pass keeps of a block; it computes the cheap rest again, at less time than writing it
            down takes.
    """

    kept = ("attn.q", "attn.k", "attn.v", "resid_mid", "mlp.pre")

    def __init__(
        self,
        config: BlockConfig,
        rngs: nnx.Rngs,
        attn: Make | None = None,
        mlp: Make | None = None,
        grid: Grid = None,
    ):
        self.norm1, self.norm2 = norm(config, rngs, grid=grid), norm(config, rngs, grid=grid)
        self.attn = Attention(config, rngs) if attn is None else attn(rngs)
        self.mlp = Mlp(config, rngs) if mlp is None else mlp(rngs)
        if config.layer_scale:
            self.scale1 = nnx.Param(jnp.ones(config.width))
            self.scale2 = nnx.Param(jnp.ones(config.width))
        self.scaled = config.layer_scale

    def __call__(self, x: jax.Array, taps: Taps, execution: Execution = PLAIN) -> jax.Array:
        x = taps("resid_pre", x, TOKENS)
        out = self.attn(self.norm1(x), taps.scope("attn"), execution)
        x = taps("resid_mid", x + taps("attn.out", out * self.scale1[...] if self.scaled else out, TOKENS), TOKENS)
        out = self.mlp(self.norm2(x), taps.scope("mlp"))
        return taps("resid_post", x + taps("mlp.out", out * self.scale2[...] if self.scaled else out, TOKENS), TOKENS)


def stacked(make: Make, count: int, rngs: nnx.Rngs) -> nnx.Module:
    """`count` blocks as one, whose parameters carry a leading axis of so many; see `vitjax.models.core.stack`."""
    return jax.vmap(lambda key: make(nnx.Rngs(key)))(jax.random.split(rngs.params(), count))
