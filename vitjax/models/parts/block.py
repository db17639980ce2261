"""A Transformer block: attention and an MLP, each read from and added to the residual stream."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx

from vitjax.models.core.config import BlockConfig
from vitjax.models.core.execution import COPIED, PLAIN, Execution
from vitjax.models.core.tap_site import LastLayer
from vitjax.models.core.taps import Taps
from vitjax.models.norms.dtn import TokenNorm
from vitjax.models.parts.attention import Attention
from vitjax.models.parts.mlp import ACTIVATIONS, Mlp
from vitjax.models.parts.norm import STATISTICS, Grid, among, norm

TOKENS = "token channel"
Make = Callable[[nnx.Rngs], nnx.Module]

# The taps of a block whose layer is known, with the tap that its tokens are read from.
LAST_LAYERS = {
    "attn.q": "resid_pre",
    "attn.k": "resid_pre",
    "attn.v": "resid_pre",
    "mlp.pre": "resid_mid",
    "mlp.hidden": "resid_mid",
}


class Block(nnx.Module):
    """A Transformer block; `attn.out` and `mlp.out` are what it adds to the residual stream, so after all norms.

    Args:
        config: its shape.
        rngs: of the initialisation.
        attn: makes its attention, a function (tokens, taps, execution, what all blocks share) to tokens; default global
            attention, which shares nothing.
        mlp: makes its MLP, a function (tokens, taps) to tokens; default `Mlp`.
        grid: (rows, columns) of its tokens, if none stand beside the grid, for norms across tokens.
        called: what taps call that which mixes its tokens, where it is no attention.
        reads: channels of its tokens where they are not the config's (T2T-ViT); then `attn` gives a pair: what the
            block adds, and tokens of the config's channels, to which it is added in place of its own.

    Attributes:
        kept: what the backward pass keeps of a block; it computes the cheap rest again, at less time than writing it
            down takes.
    """

    kept = ("attn.q", "attn.k", "attn.v", "tokens.pre", "resid_mid", "mlp.wide", "mlp.pre", STATISTICS, COPIED)

    def __init__(
        self,
        config: BlockConfig,
        rngs: nnx.Rngs,
        attn: Make | None = None,
        mlp: Make | None = None,
        grid: Grid = None,
        called: str = "attn",
        reads: int | None = None,
    ):
        if config.normed != "not":
            self.norm1, self.norm2 = norm(config, rngs, reads, grid), norm(config, rngs, grid=grid)
        self.attn = Attention(config, rngs) if attn is None else attn(rngs)
        self.mlp = Mlp(config, rngs) if mlp is None else mlp(rngs)
        if config.layer_scale:
            self.scale1 = nnx.Param(jnp.ones(config.width))
            self.scale2 = nnx.Param(jnp.ones(config.width))
        self.scaled, self.normed, self.called, self.reads = config.layer_scale, config.normed, called, reads

    def __call__(
        self,
        x: jax.Array,
        taps: Taps,
        execution: Execution = PLAIN,
        *shared: nnx.Module,
        places: jax.Array | None = None,
    ) -> jax.Array:
        """Runs the block.

        Args:
            x: the tokens.
            taps: of the block.
            execution: how it runs.
            shared: what all blocks share, for its attention.
            places: on which of the grid's the tokens stand, for its norms, where only some are there.
        """
        before, after = self.normed == "before", self.normed == "after"
        if self.normed != "not":
            norm1, norm2 = (among(norm, places, execution) for norm in (self.norm1, self.norm2))
        x = taps("resid_pre", x, TOKENS)
        out = self.attn(norm1(x) if before else x, taps.scope(self.called), execution, *shared)
        out, x = (out, x) if self.reads is None else out
        out = norm1(out) if after else out
        out = taps.dropped(out * self.scale1[...] if self.scaled else out, 0)
        out = taps(f"{self.called}.out", out, TOKENS)
        x = taps("resid_mid", x + out, TOKENS)
        out = self.mlp(norm2(x) if before else x, taps.scope("mlp"))
        out = norm2(out) if after else out
        out = taps.dropped(out * self.scale2[...] if self.scaled else out, 1)
        return taps("resid_post", x + taps("mlp.out", out, TOKENS), TOKENS)


class OneKey:
    """Stands for `nnx.Rngs` where only shapes are asked for: one key for all.

    The count of `nnx.Rngs` takes half of the time in which a model is traced.
    """

    def __init__(self, key: jax.Array):
        self._key = key

    def params(self) -> jax.Array:
        """The key."""
        return self._key


def stacked(make: Make, count: int, rngs: nnx.Rngs | OneKey) -> nnx.Module:
    """`count` blocks as one, whose parameters carry a leading axis of so many; see `vitjax.models.core.stack`."""
    if isinstance(rngs, OneKey):  # batching what is drawn took a third of the time in which a model is traced
        return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (count, *leaf.shape)), make(rngs))
    return jax.vmap(lambda key: make(type(rngs)(key)))(jax.random.split(rngs.params(), count))


def last_layer(block: nnx.Module, scope: str, name: str) -> LastLayer | None:
    """The dense layer of a block that gives a tap, see `Network.last_layer`.

    Args:
        block: any; one that is no `Block`, or has other parts, has no layer that is known.
        scope: what its taps begin with.
        name: of the tap, as seen from inside the block.
    """
    if name not in LAST_LAYERS or type(block) is not Block or block.normed != "before":
        return None
    inside = block.attn if name.startswith("attn.") else block.mlp
    if type(inside) is Attention:
        turned = inside.qk_normed or inside.cosine or inside.turns is not None
        layer, before = (None if turned and name != "attn.v" else inside.qkv), block.norm1
    elif type(inside) is Mlp:
        mixed = inside.mixer is not None or (inside.normed and name == "mlp.hidden")
        layer, before = (None if mixed else inside.fc1), block.norm2
    else:
        return None
    if layer is None or isinstance(before, TokenNorm):  # which needs all tokens, where some would be asked for
        return None
    kernel = layer.kernel[...]
    bias = jnp.zeros(kernel.shape[1:]) if layer.bias is None else layer.bias[...]
    if name.startswith("attn."):
        part = "qkv".index(name[-1])
        kernel, bias = kernel[:, part], bias[part]
    parts = 2 if name == "mlp.hidden" and inside.gated else 1
    return LastLayer(
        source=scope + LAST_LAYERS[name],
        norm=before,
        kernel=kernel.reshape(len(kernel), parts, -1),
        bias=bias.reshape(parts, -1),
        activation=ACTIVATIONS[inside.activation] if name == "mlp.hidden" else None,
    )
