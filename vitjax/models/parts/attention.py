"""Attention among tokens: every product of it passes a tap."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx
from jax.ad_checkpoint import checkpoint_name

from vitjax.models.core.config import BlockConfig
from vitjax.models.core.execution import COPIED, PLAIN, Execution, Heads, Kernel
from vitjax.models.core.taps import Taps
from vitjax.models.kernels.dense import dense, unpacked
from vitjax.models.kernels.softmax import softmax
from vitjax.models.parts.norm import norm
from vitjax.models.visible import Groups

HEADS, SCORES = "token head channel", "head query key"
STEEPEST = 100.0  # what cosines are multiplied by at most (Swin V2, arXiv 2111.09883)
SHORTEST = 1e-12  # length that q and k are divided by at least, as torch's `normalize` has it


class Attention(nnx.Module):
    """Multi-head self-attention, [batch, token, channel] to the same.

    The scores are the products of `q` and `k` as their taps show them, so after norms and rotation, and of length 1 in
    cosine attention; `z` is what the output projection reads, so after its norm.

    Args:
        config: of the blocks.
        rngs: of the initialisation.
        bias: gives what is added to the scores, [1, head or 1, query, key], of a count of tokens: see
            `vitjax.models.parts.positions`.
        turns: turns q and k [batch, token, head, channel] by their positions.
        gate: makes of what the scores say, [batch, head, query, key], what the values are mixed by.
    """

    def __init__(
        self,
        config: BlockConfig,
        rngs: nnx.Rngs,
        bias: nnx.Module | None = None,
        turns: nnx.Module | None = None,
        gate: nnx.Module | None = None,
    ):
        heads, size = config.heads, config.head_width
        self.qkv = dense(config.width, (3, heads, size), rngs, config.qkv_bias)
        self.proj = dense((heads, size), config.width, rngs)
        if config.qk_norm:
            self.q_norm, self.k_norm = norm(config, rngs, size), norm(config, rngs, size)
        if config.attn_norm:
            self.norm = norm(config, rngs)
        if config.cosine:
            self.log_scale = nnx.Param(jnp.full(heads, jnp.log(10.0)))
        self.bias, self.turns, self.gate = bias, turns, gate
        self.qk_normed, self.normed, self.cosine = config.qk_norm, config.attn_norm, config.cosine

    def __call__(
        self,
        x: jax.Array,
        taps: Taps,
        execution: Execution = PLAIN,
        mask: jax.Array | None = None,
        groups: Groups | None = None,
    ) -> jax.Array:
        """Attends.

        Args:
            x: [batch, token, channel].
            taps: of this attention.
            execution: which kernel may compute it.
            mask: added to the scores; see `attend`.
            groups: that the tokens attend within, where only some of a map are there; they stand for bias and mask.
        """
        if mask is None and groups is None and (kernel := self._kernel(x, taps, execution)):
            return (self._packed if kernel.packed else self._filled)(kernel, x, taps)
        q, k, v = unpacked(self.qkv(x))
        if self.qk_normed:
            q, k = self.q_norm(q), self.k_norm(k)
        if self.turns is not None:
            q, k = self.turns(q), self.turns(k)
        if self.cosine:
            q, k = of_length_one(q), of_length_one(k)
        q, k, v = (taps(name, part, HEADS) for name, part in (("q", q), ("k", k), ("v", v)))
        bias = None if self.bias is None or groups is not None else partial(self.bias, q.shape[1])
        if groups is not None:
            q, k, v = (groups.cut(part) for part in (q, k, v))
            mask = groups.mask(self.bias)
        z = attend(q, k, v, taps, execution, bias, mask, self._scale() if self.cosine else None, self.gate)
        z = z if groups is None else groups.join(z)
        if self.normed:
            z = self.norm(z.reshape(x.shape)).reshape(z.shape)
        return self.proj(taps("z", z, HEADS))

    def _kernel(self, x: jax.Array, taps: Taps, execution: Execution) -> Kernel | None:
        """The kernel that reads q, k and v as they are projected for it, if nothing is to be done to them before."""
        changed = self.qk_normed or self.cosine or any(part is not None for part in (self.bias, self.turns, self.gate))
        if changed or taps.want("q", "k", "v", "scores", "probs"):
            return None
        kernel = execution.kernel(jax.ShapeDtypeStruct((*x.shape[:2], *self.proj.in_features), x.dtype))
        fits = kernel and (kernel.packed or (kernel.filled and not taps.want("z")))
        return kernel if fits else None

    def _packed(self, kernel: Kernel, x: jax.Array, taps: Taps) -> jax.Array:
        """Attends with channels of all heads, and q, k and v, in one axis: no array has the heads' short last axis."""
        heads, size = self.proj.in_features
        qkv = x @ self.qkv.kernel[...].reshape(x.shape[-1], -1)
        qkv = qkv if self.qkv.bias is None else qkv + self.qkv.bias[...].reshape(-1)
        z = kernel.packed(checkpoint_name(qkv, COPIED), heads)
        z = self.norm(z) if self.normed else z
        z = taps("z", z.reshape(*x.shape[:2], heads, size), HEADS).reshape(z.shape)
        out = z @ self.proj.kernel[...].reshape(z.shape[-1], -1)
        return out if self.proj.bias is None else out + self.proj.bias[...]

    def _filled(self, kernel: Kernel, x: jax.Array, taps: Taps) -> jax.Array:
        """Attends with tokens filled up before they are projected: q, k and v are written once, where they are read."""
        tokens, x = x.shape[1], kernel.filled(x)
        # A bias of k adds the same to all scores of a query, that of v to every mean of them, so to what `proj` gives.
        late = not self.normed and self.qkv.bias is not None
        q, k, v = (self._product(x, part, biased=not (late and part)) for part in range(3))
        q, k, v = (taps(name, part, HEADS) for name, part in (("q", q), ("k", k), ("v", v)))
        z = kernel.attend(q, k, v, tokens)
        z = self.norm(z.reshape(x.shape)).reshape(z.shape) if self.normed else z
        out = self.proj(taps("z", z, HEADS))[:, :tokens]
        return out + jnp.einsum("hd,hdc->c", self.qkv.bias[2], self.proj.kernel[...]) if late else out

    def _product(self, x: jax.Array, part: int, *, biased: bool) -> Heads:
        """One of q, k and v."""
        made = jnp.einsum("btc,chd->bthd", x, self.qkv.kernel[:, part])
        return made + self.qkv.bias[part] if biased and self.qkv.bias is not None else made

    def _scale(self) -> jax.Array:
        """What the cosines of each head are multiplied by, [head, 1, 1]."""
        wide = jnp.promote_types(self.log_scale.dtype, jnp.float32)
        return jnp.exp(jnp.minimum(self.log_scale[...].astype(wide), jnp.log(STEEPEST)))[:, None, None]


def attend(
    q: Heads,
    k: Heads,
    v: Heads,
    taps: Taps,
    execution: Execution = PLAIN,
    bias: Callable[[], jax.Array] | None = None,
    mask: jax.Array | None = None,
    scale: float | jax.Array | None = None,
    gate: Callable[[jax.Array], jax.Array] | None = None,
) -> Heads:
    """Gives each query the mean of v that its scores with the keys say; the scores and their softmax pass taps.

    Args:
        q, k, v: [batch, token, head, channel]; v may be wider than q and k, and they may be of other tokens than q.
        taps: of the attention.
        execution: which kernel may compute it, where nothing of the scores is read or added.
        bias: gives what is added to the scores, [1, head or 1, query, key].
        mask: added to the scores, [several, head or 1, query, key], for these of the batch by turns.
        scale: of the scores, or of those of each head [head, 1, 1]; default one over the root of q's channels.
        gate: makes of the scores' softmax what the values are mixed by, which is what `probs` shows.
    """
    seen = any(part is not None for part in (bias, mask, scale, gate)) or v.shape != k.shape
    if not seen and not taps.want("scores", "probs") and (kernel := execution.kernel(q)):
        return kernel.attend(q, k, v)
    q, k, v = (part.swapaxes(1, 2) for part in (q, k, v))
    wide = jnp.promote_types(q.dtype, jnp.float32)
    scaled = (q * (q.shape[-1] ** -0.5 if scale is None else scale)).astype(q.dtype)
    scores = jnp.einsum("bhqd,bhkd->bhqk", scaled, k, preferred_element_type=wide)
    scores = scores if bias is None else scores + bias()
    scores = taps("scores", scores if mask is None else _by_turns(scores, mask), SCORES)
    probs = softmax(scores)
    probs = taps("probs", probs if gate is None else gate(probs), SCORES)
    return jnp.einsum("bhqk,bhkd->bhqd", probs.astype(v.dtype), v).swapaxes(1, 2)


def _by_turns(scores: jax.Array, mask: jax.Array) -> jax.Array:
    """Adds a mask of several to the scores of as many or a multiple, without a copy of it for each."""
    return (scores.reshape(-1, len(mask), *scores.shape[1:]) + mask).reshape(scores.shape)


def of_length_one(x: jax.Array) -> jax.Array:
    """Divides vectors by their lengths; where one is zero, as that of k of a zero is, so is its gradient's factor."""
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    squares = jnp.square(wide).sum(axis=-1, keepdims=True)
    return (wide * jax.lax.rsqrt(jnp.maximum(squares, SHORTEST**2))).astype(x.dtype)
