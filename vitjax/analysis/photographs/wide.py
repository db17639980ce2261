"""Tallies the latents of wide dictionaries in parts, so that those of a batch never lie in memory all at once.

Latents that depend on no other, as with ReLU or a threshold, are computed part by part. Of a TopK the k largest of each
token are found first, part by part, and each part is made of these.
"""

from collections.abc import Iterable

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from vitjax.analysis.photographs.tally import Tally, add
from vitjax.analysis.study.patches import counted_tokens
from vitjax.models.core.network import Network
from vitjax.models.core.tap_site import Site
from vitjax.models.dictionaries.dictionary import Dictionary

WIDE = 4096  # latents at once
LEAST = 256  # latents of a part, below which it would not be worth it
IN_ROWS = ("sample", "sample_patch")  # of a `Tally`, that have units as their second axis


def in_parts(model: Network, taps: Iterable[str]) -> dict[str, Dictionary]:
    """Those of the taps that are latents of dictionaries too wide to be read at once, with their dictionaries."""
    owners = {tap: one for one in model.dictionaries if isinstance(one, Dictionary) for tap in one.taps}
    return {tap: owners[tap] for tap in taps if tap in owners and owners[tap].width > WIDE and _size(owners[tap])}


def add_parts(
    tally: Tally,
    tap: str,
    one: Dictionary,
    value: Float[Array, "image *place channel"],
    site: Site,
    tokens: str,
    grid: tuple[int, int],
    place: Int[Array, " image"],
    slot: Int[Array, " image"],
) -> Tally:
    """Adds a batch to the tally of a dictionary's latents, as `tally.add` does of their values.

    Args:
        tally: of all latents.
        tap: before or after the activation function.
        one: the dictionary.
        value: of the tap that it takes apart.
        site: of that tap.
        tokens, grid: which tokens count, as of `counted_tokens`.
        place, slot: as of `tally.add`.
    """
    size = _size(one)
    meant = jnp.ones(value.shape[:-1], bool)
    if tap == one.taps[1] and (where := one.meant(site.axes, site.prefix, value.shape[1])) is not None:
        meant = jnp.broadcast_to(where, value.shape[:-1])
    x, meant = counted_tokens(value, site, tokens, grid), counted_tokens(meant[..., None], site, tokens, grid)
    u = one.centred(x)
    before = tap == one.taps[0]
    largest = None if before or one.form.activation != "topk" else _largest(one, u, size)

    def part(number: Array, tally: Tally) -> Tally:
        first = number * size
        if largest is None:
            pre = one.some(u, first, size)
            found = pre if before else one.activated(pre, first, size)
        else:
            found = _placed(*largest, first, size)
        values = jnp.where(meant, found, 0).astype(x.dtype)
        return _put(tally, add(_cut(tally, first, size), values, place, slot), first)

    after = lax.fori_loop(0, one.width // size, part, tally)
    return after._replace(images=tally.images + (place >= 0).sum(dtype=jnp.int32))


def _size(one: Dictionary) -> int:
    """Latents of a part: as many as divide all of them, no more than `WIDE`; 0 where there are only small parts."""
    size = max(size for size in range(1, min(WIDE, one.width) + 1) if one.width % size == 0)
    return size if size >= LEAST else 0


def _largest(one: Dictionary, u: Array, size: int) -> tuple[Float[Array, "*n k"], Int[Array, "*n k"]]:
    """The k largest latents of each token, of equal ones the first, and which they are."""

    def part(number: Array, best: tuple[Array, Array]) -> tuple[Array, Array]:
        pre = one.some(u, number * size, size)
        values = jnp.concatenate([best[0], pre], axis=-1)
        which = jnp.broadcast_to(jnp.arange(size, dtype=jnp.int32) + number * size, pre.shape)
        found, index = lax.top_k(values, one.form.k)
        return found, jnp.take_along_axis(jnp.concatenate([best[1], which], axis=-1), index, axis=-1)

    shape = (*u.shape[:-1], one.form.k)
    none = jnp.full(shape, -jnp.inf, u.dtype), jnp.full(shape, -1, jnp.int32)
    values, which = lax.fori_loop(0, one.width // size, part, none)
    return jax.nn.relu(values) if one.form.relu else values, which


def _placed(values: Array, which: Array, first: Array, size: int) -> Float[Array, "*n latent"]:
    """A part of the latents, of the k largest of each token."""
    inside = (which >= first) & (which < first + size)
    index = jnp.where(inside, which - first, size)  # what is not of this part goes into a column that is cut off
    blank = jnp.zeros((*values.shape[:-1], size + 1), values.dtype)
    return jnp.put_along_axis(blank, index, values, axis=-1, inplace=False)[..., :size]


def _cut(tally: Tally, first: Array, size: int) -> Tally:
    """The tally of some of its units."""
    cut = lambda leaf, axis: lax.dynamic_slice_in_dim(leaf, first, size, axis)
    return Tally(*(leaf if leaf.ndim == 0 else cut(leaf, int(name in IN_ROWS)) for name, leaf in _named(tally)))


def _put(tally: Tally, some: Tally, first: Array) -> Tally:
    """The tally with that of some of its units, but with as many images as before."""
    put = lambda leaf, new, axis: lax.dynamic_update_slice_in_dim(leaf, new, first, axis)
    both = zip(_named(tally), some, strict=True)
    return Tally(*(leaf if leaf.ndim == 0 else put(leaf, new, int(name in IN_ROWS)) for (name, leaf), new in both))


def _named(tally: Tally) -> Iterable[tuple[str, Array]]:
    return tally._asdict().items()
