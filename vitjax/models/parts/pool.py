"""Pooling by attention: one learned query reads all tokens."""

import jax
import jax.numpy as jnp
from flax import nnx

from vitjax.models.core.config import ViTConfig
from vitjax.models.core.taps import Taps
from vitjax.models.kernels.dense import dense, unpacked
from vitjax.models.parts.attention import HEADS
from vitjax.models.parts.mlp import Mlp
from vitjax.models.parts.norm import norm

QUERY, SCORES = "head channel", "head key"  # there is one query


class AttentionPool(nnx.Module):
    """One learned query attends to all tokens, then an MLP: [batch, token, channel] to [batch, channel] (SigLIP).

    Its taps are called as a block's: `attn.q` (of the one query), `attn.k`, …, `resid_mid`, `mlp.hidden`, `mlp.out`.
    """

    def __init__(self, config: ViTConfig, rngs: nnx.Rngs):
        heads = config.pool_heads or config.heads
        size = config.width // heads
        self.latent = nnx.Param(jax.random.normal(rngs.params(), (config.width,), jnp.float32) * config.width**-0.5)
        self.q = dense(config.width, (heads, size), rngs)
        self.kv = dense(config.width, (2, heads, size), rngs)
        self.proj = dense((heads, size), config.width, rngs)
        self.norm, self.mlp = norm(config, rngs), Mlp(config, rngs)

    def __call__(self, x: jax.Array, taps: Taps) -> jax.Array:
        attn = taps.scope("attn")
        q = attn("q", jnp.broadcast_to(self.q(self.latent[...]), (x.shape[0], *self.q.out_features)), QUERY)
        k, v = (attn(name, part, HEADS) for name, part in zip("kv", unpacked(self.kv(x)), strict=True))
        z = self._products(q, k, v, attn) if attn.want("scores", "probs") else _attended(q, k, v)
        x = taps("resid_mid", attn("out", self.proj(attn("z", z, QUERY)), "channel"), "channel")
        return x + taps("mlp.out", self.mlp(self.norm(x), taps.scope("mlp")), "channel")

    def _products(self, q: jax.Array, k: jax.Array, v: jax.Array, taps: Taps) -> jax.Array:
        wide = jnp.promote_types(q.dtype, jnp.float32)
        scores = jnp.einsum("bhd,bkhd->bhk", q * q.shape[-1] ** -0.5, k, preferred_element_type=wide)
        probs = taps("probs", jax.nn.softmax(taps("scores", scores, SCORES)), SCORES)
        return jnp.einsum("bhk,bkhd->bhd", probs.astype(v.dtype), v)


def _attended(q: jax.Array, k: jax.Array, v: jax.Array) -> jax.Array:
    return jax.nn.dot_product_attention(q[:, None], k, v)[:, 0]
