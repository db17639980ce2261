"""Finds the n-th largest latent of each token, or of all of a batch, without sorting them all, and exactly."""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

MOST = 2**31  # numbers of a batch: they are counted in int32


def kth_largest(values: Float[Array, "token latent"], k: int) -> Float[Array, "token 1"]:
    """The k-th largest of each row: it is in one of the k groups of neighbours with the largest maxima.

    So two short rows are gone through in place of a long one, of groups and of what is in k of them.
    """
    rows, width = values.shape
    size = max(size for size in range(1, int((width / k) ** 0.5) + 1) if width % size == 0)
    groups = values.reshape(rows, width // size, size)
    which = lax.top_k(groups.max(axis=-1), k)[1]
    some = jnp.take_along_axis(groups, which[..., None], axis=1)
    return lax.top_k(some.reshape(rows, -1), k)[0][:, -1:]


def nth_largest(values: Float[Array, "*axes"], count: int) -> Float[Array, ""]:
    """The number that `count` of the values, or a few more where some are equal, are at least; 0 where fewer are above.

    Floats of 0 and more have the order of their bits as whole numbers, of which one that counts right is found between
    bounds: by the line between the logarithms of their counts, and by halves every third time. What is counted is
    summed over all devices; nothing else is exchanged.

    Args:
        values: float32, of which those below 0 count as 0.
        count: at least 1, at most as many as there are.
    """
    ordered = lax.bitcast_convert_type(jnp.maximum(values, 0) + 0.0, jnp.int32)  # + 0: of -0
    number = lambda bits: lax.bitcast_convert_type(bits, jnp.float32)
    at_least = lambda bound: jnp.sum(ordered >= bound, dtype=jnp.int32)
    log = lambda counted: jnp.log(counted.astype(jnp.float32) + 0.5)

    def open_still(bounds):
        low, high, below, _, _ = bounds
        return (high - low > 1) & (below != count)

    def closer(bounds):
        low, high, below, above, turn = bounds
        share = (log(below) - jnp.log(count + 0.5)) / (log(below) - log(above))
        line = number(low) + jnp.clip(share, 0.01, 0.99) * (number(high) - number(low))
        between = jnp.where(turn % 3 == 2, low + (high - low) // 2, lax.bitcast_convert_type(line, jnp.int32))
        between = jnp.clip(between, low + 1, high - 1)
        found = at_least(between)
        enough = found >= count
        low, below = jnp.where(enough, between, low), jnp.where(enough, found, below)
        high, above = jnp.where(enough, high, between), jnp.where(enough, above, found)
        return low, high, below, above, turn + 1

    zero, highest = jnp.int32(0), ordered.max() + 1
    low, *_ = lax.while_loop(open_still, closer, (zero, highest, jnp.int32(values.size), zero, zero))
    return number(low)
