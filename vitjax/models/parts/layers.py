"""The parts of a Transformer block, each passing its activations through taps."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx

from vitjax.errors import InputError
from vitjax.models.core.config import BlockConfig, ViTConfig
from vitjax.models.core.execution import PLAIN, Execution
from vitjax.models.core.taps import Taps
from vitjax.models.parts.positions import Turns, distance_rows, distances, turn


def gelu(x: jax.Array) -> jax.Array:
    """x times the normal distribution's integral up to x, by erf: JAX's own form takes erfc, at twice the time."""
    return 0.5 * x * (1 + jax.lax.erf(x * 0.5**0.5))


ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "gelu": gelu,
    "gelu_tanh": partial(jax.nn.gelu, approximate=True),
    "quick_gelu": lambda x: x * jax.nn.sigmoid(1.702 * x),
    "silu": jax.nn.silu,
}


def layer_norm(config: BlockConfig, rngs: nnx.Rngs, width: int | None = None) -> nnx.LayerNorm:
    """LayerNorm over the model's (or `width`) channels with the two-pass variance of the source libraries."""
    return nnx.LayerNorm(width or config.width, epsilon=config.norm_eps, use_fast_variance=False, rngs=rngs)


class Attention(nnx.Module):
    """Multi-head self-attention, [batch, token, channel] to the same.

    `q` and `k` are what the scores are the products of, so after norms and rotation; `z` is what the output projection
    reads, so after its norm.
    """

    def __init__(self, config: BlockConfig, rngs: nnx.Rngs):
        heads, size = config.heads, config.head_width
        self.qkv = nnx.LinearGeneral(config.width, (3, heads, size), use_bias=config.qkv_bias, rngs=rngs)
        self.proj = nnx.LinearGeneral((heads, size), config.width, axis=(-2, -1), rngs=rngs)
        if config.qk_norm:
            self.q_norm, self.k_norm = layer_norm(config, rngs, size), layer_norm(config, rngs, size)
        if config.attn_norm:
            self.norm = layer_norm(config, rngs)
        if config.relative_bias:
            self.distances = nnx.Param(jnp.zeros((distances(config.grid), heads)))
        self.config = config

    def __call__(self, x: jax.Array, taps: Taps, turns: Turns | None, execution: Execution) -> jax.Array:
        if (turns or self.config.relative_bias) and x.shape[1] != self.config.tokens:
            raise InputError("tokens cannot be dropped from this model: its attention knows each by its position")
        q, k, v = jnp.moveaxis(self.qkv(x), -3, 0)
        if self.config.qk_norm:
            q, k = self.q_norm(q), self.k_norm(k)
        if turns:
            q, k = (turn(part, turns, self.config.rotary.halves) for part in (q, k))
        q, k, v = (taps(name, part) for name, part in (("q", q), ("k", k), ("v", v)))
        kernel = execution.kernel(q.dtype)
        seen = self.config.causal or self.config.relative_bias or taps.want("scores", "probs")
        z = self._products(q, k, v, taps) if seen or kernel is None else kernel(q, k, v)
        if self.config.attn_norm:
            z = self.norm(z.reshape(x.shape)).reshape(z.shape)
        return self.proj(taps("z", z))

    def _products(self, q: jax.Array, k: jax.Array, v: jax.Array, taps: Taps) -> jax.Array:
        q, k, v = (part.swapaxes(1, 2) for part in (q, k, v))
        wide = jnp.promote_types(q.dtype, jnp.float32)
        scores = jnp.einsum("bhqd,bhkd->bhqk", q * q.shape[-1] ** -0.5, k, preferred_element_type=wide)
        bias = self._bias(q.shape[2])
        probs = taps("probs", jax.nn.softmax(taps("scores", scores if bias is None else scores + bias)))
        return jnp.einsum("bhqk,bhkd->bhqd", probs.astype(v.dtype), v).swapaxes(1, 2)

    def _bias(self, tokens: int) -> jax.Array | None:
        """What is added to the scores, [1, head or 1, query, key]: relative positions, or -inf at tokens to come."""
        if self.config.causal:
            return jnp.where(jnp.tri(tokens, dtype=bool), 0.0, -jnp.inf)[None, None]
        if not self.config.relative_bias:
            return None
        return jnp.moveaxis(self.distances[...][distance_rows(self.config.grid)], -1, 0)[None]


class Mlp(nnx.Module):
    """Two dense layers around an activation function; the units of `hidden` are the network's neurons.

    `hidden` is what the second layer reads, so after its norm. In a gated MLP `pre` is [gate, up], and a neuron is
    activation(gate) · up (arXiv 2002.05202).
    """

    def __init__(self, config: BlockConfig, rngs: nnx.Rngs):
        wide = (2, config.mlp_width) if config.gated else config.mlp_width
        self.fc1 = nnx.LinearGeneral(config.width, wide, rngs=rngs)
        self.fc2 = nnx.Linear(config.mlp_width, config.width, rngs=rngs)
        if config.mlp_norm:
            self.norm = layer_norm(config, rngs, config.mlp_width)
        self.activation, self.gated, self.normed = config.activation, config.gated, config.mlp_norm

    def __call__(self, x: jax.Array, taps: Taps) -> jax.Array:
        pre = taps("pre", self.fc1(x).reshape(*x.shape[:-1], -1))
        gate, *up = jnp.split(pre, 2, axis=-1) if self.gated else [pre]
        hidden = ACTIVATIONS[self.activation](gate)
        hidden = hidden * up[0] if self.gated else hidden
        return self.fc2(taps("hidden", self.norm(hidden) if self.normed else hidden))


class Block(nnx.Module):
    """A pre-norm Transformer block; `attn.out` and `mlp.out` are what it adds to the residual stream."""

    def __init__(self, config: BlockConfig, rngs: nnx.Rngs):
        self.norm1, self.norm2 = layer_norm(config, rngs), layer_norm(config, rngs)
        self.attn, self.mlp = Attention(config, rngs), Mlp(config, rngs)
        if config.layer_scale:
            self.scale1 = nnx.Param(jnp.ones(config.width))
            self.scale2 = nnx.Param(jnp.ones(config.width))
        self.scaled = config.layer_scale

    def __call__(self, x: jax.Array, taps: Taps, turns: Turns | None = None, execution: Execution = PLAIN) -> jax.Array:
        x = taps("resid_pre", x)
        out = self.attn(self.norm1(x), taps.scope("attn"), turns, execution)
        x = taps("resid_mid", x + taps("attn.out", out * self.scale1[...] if self.scaled else out))
        out = self.mlp(self.norm2(x), taps.scope("mlp"))
        return taps("resid_post", x + taps("mlp.out", out * self.scale2[...] if self.scaled else out))


def stack(config: BlockConfig, rngs: nnx.Rngs) -> Block:
    """All blocks as one, whose parameters carry a leading depth axis."""
    return jax.vmap(lambda key: Block(config, nnx.Rngs(key)))(jax.random.split(rngs.params(), config.depth))


def nth(blocks: Block, i: int | jax.Array) -> Block:
    """One block of a stack."""
    return jax.tree.map(lambda leaf: jax.lax.dynamic_index_in_dim(leaf, i, keepdims=False), blocks)


class AttentionPool(nnx.Module):
    """One learned query attends to all tokens, then an MLP: [batch, token, channel] to [batch, channel] (SigLIP)."""

    def __init__(self, config: ViTConfig, rngs: nnx.Rngs):
        heads = config.pool_heads or config.heads
        size = config.width // heads
        self.latent = nnx.Param(jax.random.normal(rngs.params(), (config.width,), jnp.float32) * config.width**-0.5)
        self.q = nnx.LinearGeneral(config.width, (heads, size), rngs=rngs)
        self.kv = nnx.LinearGeneral(config.width, (2, heads, size), rngs=rngs)
        self.proj = nnx.LinearGeneral((heads, size), config.width, axis=(-2, -1), rngs=rngs)
        self.norm, self.mlp = layer_norm(config, rngs), Mlp(config, rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        q = jnp.broadcast_to(self.q(self.latent[...]), (x.shape[0], 1, *self.q.out_features))
        k, v = jnp.moveaxis(self.kv(x), -3, 0)
        x = self.proj(jax.nn.dot_product_attention(q, k, v))[:, 0]
        return x + self.mlp(self.norm(x), Taps())
