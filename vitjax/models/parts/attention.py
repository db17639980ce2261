"""Attention among tokens: every product of it passes a tap."""

import jax
import jax.numpy as jnp
from flax import nnx

from vitjax.models.core.config import BlockConfig
from vitjax.models.core.execution import PLAIN, Execution
from vitjax.models.core.taps import Taps
from vitjax.models.parts.norm import norm

HEADS, SCORES = "token head channel", "head query key"


class Attention(nnx.Module):
    """Multi-head self-attention, [batch, token, channel] to the same.

    The scores are the products of `q` and `k` as their taps show them, so after norms and rotation; `z` is what the
    output projection reads, so after its norm.

    Args:
        config: of the blocks.
        rngs: of the initialisation.
        bias: gives what is added to the scores, [1, head or 1, query, key], of a count of tokens: see
            `vitjax.models.parts.positions`.
        turns: turns q and k [batch, token, head, channel] by their positions.
    """

    def __init__(
        self, config: BlockConfig, rngs: nnx.Rngs, bias: nnx.Module | None = None, turns: nnx.Module | None = None
    ):
        heads, size = config.heads, config.head_width
        self.qkv = nnx.LinearGeneral(config.width, (3, heads, size), use_bias=config.qkv_bias, rngs=rngs)
        self.proj = nnx.LinearGeneral((heads, size), config.width, axis=(-2, -1), rngs=rngs)
        if config.qk_norm:
            self.q_norm, self.k_norm = norm(config, rngs, size), norm(config, rngs, size)
        if config.attn_norm:
            self.norm = norm(config, rngs)
        self.bias, self.turns = bias, turns
        self.qk_normed, self.normed = config.qk_norm, config.attn_norm

    def __call__(
        self, x: jax.Array, taps: Taps, execution: Execution = PLAIN, mask: jax.Array | None = None
    ) -> jax.Array:
        """Attends.

        Args:
            x: [batch, token, channel].
            taps: of this attention.
            execution: which kernel may compute it.
            mask: added to the scores, [batch, head or 1, query, key].
        """
        q, k, v = jnp.moveaxis(self.qkv(x), -3, 0)
        if self.qk_normed:
            q, k = self.q_norm(q), self.k_norm(k)
        if self.turns is not None:
            q, k = self.turns(q), self.turns(k)
        q, k, v = (taps(name, part, HEADS) for name, part in (("q", q), ("k", k), ("v", v)))
        kernel = execution.kernel(q.dtype)
        seen = self.bias is not None or mask is not None or taps.want("scores", "probs")
        z = self._products(q, k, v, taps, mask) if seen or kernel is None else kernel(q, k, v)
        if self.normed:
            z = self.norm(z.reshape(x.shape)).reshape(z.shape)
        return self.proj(taps("z", z, HEADS))

    def _products(self, q: jax.Array, k: jax.Array, v: jax.Array, taps: Taps, mask: jax.Array | None) -> jax.Array:
        q, k, v = (part.swapaxes(1, 2) for part in (q, k, v))
        wide = jnp.promote_types(q.dtype, jnp.float32)
        scores = jnp.einsum("bhqd,bhkd->bhqk", q * q.shape[-1] ** -0.5, k, preferred_element_type=wide)
        scores = scores if self.bias is None else scores + self.bias(q.shape[2])
        scores = taps("scores", scores if mask is None else scores + mask, SCORES)
        probs = taps("probs", jax.nn.softmax(scores), SCORES)
        return jnp.einsum("bhqk,bhkd->bhqd", probs.astype(v.dtype), v).swapaxes(1, 2)
