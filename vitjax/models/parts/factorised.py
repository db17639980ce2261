"""Factorised attention: keys and values make one small matrix that all queries read.

That of CoaT (arXiv 2104.06399), and of a kernel in place of the softmax (Performer, arXiv 2009.14794).
"""

import jax
import jax.numpy as jnp
from flax import nnx

from vitjax.models.core.config import BlockConfig
from vitjax.models.core.execution import Execution, Heads
from vitjax.models.core.tap_site import Places
from vitjax.models.core.taps import Taps
from vitjax.models.kernels.dense import dense, unpacked
from vitjax.models.parts.attention import HEADS
from vitjax.models.parts.depthwise import Depthwise, apart, together

CONTEXT = "head key_channel channel"  # no key axis: tokens are what it is a sum over
KERNELS = {3: 2, 5: 3, 7: 3}  # sizes of the relative positions' convolutions, with how many of the heads each is for
LACKING = dict.fromkeys(  # see `Network.lacking`
    ("attn.scores", "attn.probs"),
    "this attention is factorised and compares no two tokens; it has attn.context and attn.position instead",
)


class FactorisedAttention(nnx.Module):
    """Attention that makes no scores, [batch, token, channel] to the same; its cost grows as the number of tokens.

    Each channel of k is a softmax over all tokens, by which `context` sums v: [head, key channel, channel]. A query
    reads it by its channels; `position`, q times what convolutions make of v, is added: `z` is the sum.

    Args:
        config: of the blocks.
        rngs: of the initialisation.
    """

    def __init__(self, config: BlockConfig, rngs: nnx.Rngs):
        heads, size = config.heads, config.head_width
        self.qkv = dense(config.width, (3, heads, size), rngs, config.qkv_bias)
        self.proj = dense((heads, size), config.width, rngs)

    def __call__(self, x: jax.Array, taps: Taps, execution: Execution, relative: "ConvRelative") -> jax.Array:
        q, k, v = (taps(name, part, HEADS) for name, part in zip("qkv", unpacked(self.qkv(x)), strict=True))
        wide = jnp.promote_types(k.dtype, jnp.float32)
        shares = jax.nn.softmax(k.astype(wide), axis=1).astype(v.dtype)
        context = taps("context", jnp.einsum("bthk,bthc->bhkc", shares, v), CONTEXT)
        position = taps("position", q * relative(v), HEADS)
        z = q.shape[-1] ** -0.5 * jnp.einsum("bthk,bhkc->bthc", q, context) + position
        return self.proj(taps("z", z, HEADS))


class ConvRelative(nnx.Module):
    """Convolves the values of each head over the grid, [batch, token, head, channel] to the same.

    The first heads have small kernels, the last large ones. Tokens before the grid get zeros.

    Args:
        config: of the blocks, with as many heads as `KERNELS` are for.
        places: that the tokens stand on.
        rngs: of the initialisation.
    """

    def __init__(self, config: BlockConfig, places: Places, rngs: nnx.Rngs):
        self.convs = nnx.List(Depthwise(heads * config.head_width, size, rngs) for size, heads in KERNELS.items())
        self.places = places

    def __call__(self, v: jax.Array) -> jax.Array:
        before, grid = apart(v, self.places)
        found, start = [], 0
        for conv, heads in zip(self.convs, KERNELS.values(), strict=True):
            part = grid[..., start : start + heads, :]
            found.append(conv(part.reshape(*part.shape[:3], -1)).reshape(part.shape))
            start += heads
        return together(jnp.zeros_like(before), jnp.concatenate(found, axis=-2))


def kernel_attend(q: Heads, k: Heads, v: Heads, directions: jax.Array, least: float = 1e-8) -> Heads:
    """Gives each query the mean of v, weighted by a kernel of q and k that random features make.

    The features of a vector a are exp(w · a - |a|² / 2) / √m of m directions w: their product over a query and a key is
    near exp(q · k). They reach e^16 and more, so all of this is float32 at least.

    Args:
        q, k, v: [batch, token, head, channel].
        directions: [m, channel].
        least: added to the sum of the weights.
    """
    wide = jnp.promote_types(q.dtype, jnp.float32)

    def features(x: jax.Array) -> jax.Array:
        x = x.astype(wide)
        along = jnp.einsum("bthc,mc->bthm", x, directions.astype(wide))
        return jnp.exp(along - jnp.square(x).sum(axis=-1, keepdims=True) / 2) * len(directions) ** -0.5

    queries, keys = features(q), features(k)
    context, total = jnp.einsum("bthm,bthc->bhmc", keys, v.astype(wide)), keys.sum(axis=1)
    weighed = jnp.einsum("bthm,bhmc->bthc", queries, context)
    return (weighed / (jnp.einsum("bthm,bhm->bth", queries, total)[..., None] + least)).astype(v.dtype)
