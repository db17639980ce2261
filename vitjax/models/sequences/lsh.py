"""Reformer's attention: tokens attend to those that fall into the same bucket, by locality-sensitive hashing.

Kitaev et al. 2020 (arXiv 2001.04451), section 2. One projection gives queries and keys, the keys at length 1. A hash
rotates them at random and takes the nearest of as many directions as there are buckets. Tokens sorted by bucket, then
by place, are cut into chunks; a token attends to those of its bucket in its own chunk and the one before, to itself
only if there is no other. Several rounds count as one softmax over all pairs that met in any of them.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from vitjax.models.core.execution import PLAIN, Execution, Heads
from vitjax.models.core.surroundings import key
from vitjax.models.core.taps import Taps
from vitjax.models.kernels.dense import dense, unpacked
from vitjax.models.parts.attention import HEADS, attend, of_length_one
from vitjax.models.sequences.bigbird import least
from vitjax.models.sequences.sequence_config import ReformerConfig

ALONE = -1e5  # score of a token with itself


class Hashed(NamedTuple):
    """Where each round puts the tokens.

    Attributes:
        bucket: of each token.
        order: the tokens, sorted.
        chunk: of each token.
    """

    bucket: Int[Array, "batch head round token"]
    order: Int[Array, "batch head round token"]
    chunk: Int[Array, "batch head round token"]


class LshAttention(nnx.Module):
    """Attention within buckets, [batch, token, channel] to the same.

    `q` is what queries and keys are made of. Where scores or their softmax are read or edited all are made, and those
    of tokens that meet in no round are -1e38 or so.
    """

    def __init__(self, config: ReformerConfig, rngs: nnx.Rngs):
        heads, size = config.heads, config.head_width
        self.qv = dense(config.width, (2, heads, size), rngs, config.qkv_bias)
        self.proj = dense((heads, size), config.width, rngs)
        self.config = config

    def __call__(
        self, x: jax.Array, taps: Taps, execution: Execution = PLAIN, present: jax.Array | None = None
    ) -> jax.Array:
        """Attends to the tokens that are `present`, [batch, token]; by default all are."""
        present = jnp.ones(x.shape[:2], bool) if present is None else present
        q, v = (taps(name, part, HEADS) for name, part in zip("qv", unpacked(self.qv(x)), strict=True))
        hashed, k = self.hashed(q, present), of_length_one(q)
        if taps.want("scores", "probs"):
            mask = jnp.where(self.met(hashed) & present[:, None, None], 0, least(q))
            # A mask is added: a score with oneself is no more than a length, which is lost beside ALONE.
            mask = jnp.where(jnp.eye(x.shape[1], dtype=bool), ALONE, mask)
            z = attend(q, k, v, taps, execution, mask=mask)
        else:
            z = self._by_chunks(*(part.swapaxes(1, 2) for part in (q, k, v)), present, hashed).swapaxes(1, 2)
        return self.proj(taps("z", z, HEADS))

    def hashed(self, q: Heads, present: Bool[Array, "batch token"]) -> Hashed:
        """Puts the tokens into buckets and chunks; those that are not present into a bucket of their own, the last."""
        config, (_, tokens, heads, size) = self.config, q.shape
        buckets, rounds = config.hashes, config.rounds
        if buckets == 1:
            bucket = jnp.zeros((len(q), heads, rounds, tokens), jnp.int32)
        else:
            turns = jax.random.normal(key(config.seed), (heads, rounds, size, buckets // 2))
            turned = jnp.einsum("bthd,hrdk->bhrtk", jax.lax.stop_gradient(q).astype(turns.dtype), turns)
            bucket = jnp.concatenate([turned, -turned], axis=-1).argmax(axis=-1).astype(jnp.int32)
        bucket = jnp.where(present[:, None, None], bucket, buckets)
        order = jnp.argsort(bucket, axis=-1, stable=True)
        return Hashed(bucket, order, jnp.argsort(order, axis=-1) // config.chunk)

    def met(self, hashed: Hashed) -> Bool[Array, "batch head query key"]:
        """Which pairs of tokens are in the same bucket, and near enough in their order, in any round."""
        ours, theirs = hashed.chunk[..., :, None], hashed.chunk[..., None, :]
        same = hashed.bucket[..., :, None] == hashed.bucket[..., None, :]
        return (same & self._near(ours, theirs)).any(axis=2)

    def _near(self, ours: jax.Array, theirs: jax.Array) -> jax.Array:
        chunks = self.config.context // self.config.chunk
        return (ours == theirs) | ((ours - 1) % chunks == theirs)

    def _by_chunks(
        self,
        q: Float[Array, "batch head token channel"],
        k: Float[Array, "batch head token channel"],
        v: Float[Array, "batch head token channel"],
        present: jax.Array,
        hashed: Hashed,
    ) -> Float[Array, "batch head token channel"]:
        size, order = self.config.chunk, hashed.order
        chunks = q.shape[2] // size
        cut = lambda x: x.reshape(*x.shape[:3], chunks, size, *x.shape[4:])
        values = lambda x: cut(jnp.take_along_axis(x[:, :, None], order[..., None], axis=3))
        marks = lambda x: cut(jnp.take_along_axis(x, order, axis=-1))
        both = lambda x: jnp.concatenate([x, jnp.roll(x, 1, axis=3)], axis=4) if chunks > 1 else x
        pairs = lambda x: (x[..., :, None], both(x)[..., None, :])
        wide = jnp.promote_types(q.dtype, jnp.float32)
        scaled = (q * q.shape[-1] ** -0.5).astype(q.dtype)
        scores = jnp.einsum("...qd,...kd->...qk", values(scaled), both(values(k)), preferred_element_type=wide)
        there = both(marks(jnp.broadcast_to(present[:, None, None], order.shape)))[..., None, :]
        same = jnp.equal(*pairs(marks(hashed.bucket))) & there
        scores = jnp.where(same, scores, least(q))
        scores = jnp.where(jnp.equal(*pairs(cut(order))), ALONE, scores) - jnp.log(self._times(hashed, marks, pairs))
        total = jax.nn.logsumexp(scores, axis=-1)
        mixed = jnp.einsum("...qk,...kd->...qd", jnp.exp(scores - total[..., None]).astype(v.dtype), both(values(v)))
        back = jnp.argsort(order, axis=-1)
        total = jnp.take_along_axis(total.reshape(order.shape), back, axis=-1)
        mixed = jnp.take_along_axis(mixed.reshape(*order.shape, -1), back[..., None], axis=3)
        share = jax.nn.softmax(total, axis=2)
        return (share[..., None].astype(v.dtype) * mixed).sum(axis=2)

    def _times(self, hashed: Hashed, marks, pairs) -> jax.Array | float:
        """In how many rounds each pair meets, so that all rounds together count it once."""
        rounds, found = self.config.rounds, 0
        if rounds == 1:
            return 1.0
        for other in range(rounds):
            of = lambda x, other=other: marks(jnp.broadcast_to(x[:, :, other, None], x.shape))
            found += jnp.equal(*pairs(of(hashed.bucket))) & self._near(*pairs(of(hashed.chunk)))
        return jnp.maximum(found, 1).astype(jnp.float32)
