"""BigBird's attention: blocks of tokens attend to a window, to the first blocks and to random ones."""

from functools import cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from vitjax.models.core.execution import PLAIN, Execution, Heads
from vitjax.models.core.taps import Taps
from vitjax.models.kernels.dense import unpacked
from vitjax.models.kernels.softmax import softmax
from vitjax.models.parts.attention import HEADS, Attention, attend
from vitjax.models.sequences.sequence_config import BigBirdConfig


class Layout(NamedTuple):
    """Which blocks of keys each block of queries attends to, where it does not attend to all.

    Attributes:
        blocks: their numbers, [head, block of queries, block of keys], from the first block on that is not global.
        real: whether one counts; rows are filled up to the same number.
    """

    blocks: Int[np.ndarray, "head query key"]
    real: Bool[np.ndarray, "head query key"]


@cache
def layout(config: BigBirdConfig) -> Layout:
    """Draws the layout of a config."""
    count, first, reach = config.context // config.block, config.global_blocks, config.window // 2
    rng = np.random.default_rng(config.seed)
    width = first + config.window + config.random_blocks
    rows = []
    for _ in range(config.heads):
        for query in range(first, count):
            near = set(range(max(first, query - reach), min(count, query + reach + 1)))
            others = [block for block in range(first, count) if block not in near]
            drawn = rng.choice(others, min(config.random_blocks, len(others)), replace=False).astype(int)
            rows.append([*range(first), *sorted(near), *sorted(drawn.tolist())])
    shape = config.heads, max(count - first, 0), width
    filled = np.array([row + [0] * (width - len(row)) for row in rows], int).reshape(shape)
    real = np.array([[True] * len(row) + [False] * (width - len(row)) for row in rows]).reshape(shape)
    return Layout(filled, real)


def pattern(config: BigBirdConfig) -> Bool[np.ndarray, "head query key"]:
    """Which tokens attend to which, of a whole context."""
    count, first = config.context // config.block, config.global_blocks
    blocks, real = layout(config)
    found = np.zeros((config.heads, count, count), bool)
    found[:, :first] = True
    head, query, place = np.nonzero(real)
    found[head, first + query, blocks[head, query, place]] = True
    return found.repeat(config.block, 1).repeat(config.block, 2)


class BigBirdAttention(Attention):
    """Attention whose scores are made block by block, where the layout has them.

    Its parameters are those of `Attention`. Where scores or their softmax are read or edited all are made, and those
    outside the pattern are -1e38 or so.
    """

    def __init__(self, config: BigBirdConfig, rngs: nnx.Rngs):
        super().__init__(config, rngs)
        self.config = config

    def __call__(
        self, x: jax.Array, taps: Taps, execution: Execution = PLAIN, present: jax.Array | None = None
    ) -> jax.Array:
        """Attends to the tokens that are `present`, [batch, token]; by default all are."""
        present = jnp.ones(x.shape[:2], bool) if present is None else present
        q, k, v = (taps(name, part, HEADS) for name, part in zip("qkv", unpacked(self.qkv(x)), strict=True))
        if taps.want("scores", "probs"):
            seen = pattern(self.config) & present[:, None, None]
            z = attend(q, k, v, taps, execution, mask=jnp.where(seen, 0, least(q)))
        else:
            z = self._by_blocks(q, k, v, present)
        return self.proj(taps("z", z, HEADS))

    def _by_blocks(self, q: Heads, k: Heads, v: Heads, present: jax.Array) -> Heads:
        size, first = self.config.block, self.config.global_blocks * self.config.block
        blocks, real = layout(self.config)
        head = np.arange(len(blocks))[:, None, None]
        cut = lambda x: x.swapaxes(1, 2).reshape(len(x), x.shape[2], -1, size, x.shape[3])
        picked = lambda x: cut(x)[:, head, blocks].reshape(len(x), *blocks.shape[:2], -1, x.shape[3])
        there = present.reshape(len(present), -1, size)[:, blocks] & real[..., None]
        queries = cut(q)[:, :, self.config.global_blocks :]
        some = _mixed(queries, picked(k), picked(v), there.reshape(*there.shape[:3], -1))
        q, k, v = (x.swapaxes(1, 2) for x in (q, k, v))
        whole = _mixed(q[:, :, :first], k, v, present[:, None])
        return jnp.concatenate([whole, some.reshape(*some.shape[:2], -1, some.shape[-1])], axis=2).swapaxes(1, 2)


def _mixed(
    q: Float[Array, "*n query channel"],
    k: Float[Array, "*n key channel"],
    v: Float[Array, "*n key channel"],
    there: Bool[Array, "*n key"],
) -> Float[Array, "*n query channel"]:
    """Attention to the keys that are there."""
    wide = jnp.promote_types(q.dtype, jnp.float32)
    scaled = (q * q.shape[-1] ** -0.5).astype(q.dtype)
    scores = jnp.einsum("...qd,...kd->...qk", scaled, k, preferred_element_type=wide)
    probs = softmax(jnp.where(there[..., None, :], scores, least(q)))
    return jnp.einsum("...qk,...kd->...qd", probs.astype(v.dtype), v)


def least(x: jax.Array) -> float:
    """What stands for the score of a pair that does not attend, in the dtype of the scores of such queries."""
    return float(jnp.finfo(jnp.promote_types(x.dtype, jnp.float32)).min) / 2
