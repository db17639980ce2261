"""Attention on TPUs over whole rows: the scores of a query live and die in the chip's vector memory.

A program reads q, k and v of some heads of one image where their projections left them, channels of all heads side by
side, and writes z there. It has a row of scores at once, so there is nothing to carry from one block of keys to the
next: made for the hundreds of tokens of an image, not for the thousands of a text. Backward, scores are computed again
and nothing is kept. Heads that are narrower than the 128 lanes of the chip are not cut out: of the lanes that are
loaded those of other heads are zeroed in one factor of each product, which costs the matrix unit nothing.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from vitjax.models.kernels.by_images import by_images
from vitjax.models.kernels.tpu_programs import LANES, SUBLANES, Plan, plan

Heads = Float[Array, "batch token head channel"]
Flat = Float[Array, "batch token channel"]  # of all heads

FEWEST, MOST = SUBLANES, 1280  # tokens: fewer waste the registers, more do not fit into the memory
MEMORY, ARRAYS = 16 * 2**20, 10  # bytes of vector memory that every kernel may take; arrays as large as the scores
ROWS, COLUMNS = (((1,), (1,)), ((), ())), (((0,), (0,)), ((), ()))  # which axes a product sums over


def takes(q: Heads) -> bool:
    """Whether the kernel is made for tokens of this dtype and number."""
    return jnp.issubdtype(q.dtype, jnp.floating) and q.dtype.itemsize <= 4 and FEWEST <= q.shape[1] <= MOST


def attend(q: Heads, k: Heads, v: Heads) -> Heads:
    """Attention from q, k and v to z; k and v may be of other tokens than q."""
    flat = (part.reshape(*part.shape[:2], -1) for part in (q, k, v))
    return _apart(*flat, q.shape[2]).reshape(q.shape)


def packed(qkv: Flat, heads: int) -> Flat:
    """Attention from q, k and v side by side, each with all heads, to z; so come and go the gradients."""
    split = qkv.shape[2] % (3 * LANES)
    return _apart(*jnp.split(qkv, 3, axis=2), heads) if split else _side_by_side(qkv, heads)


@partial(jax.custom_vjp, nondiff_argnums=(3,))
def _apart(q: Flat, k: Flat, v: Flat, heads: int) -> Flat:
    return _z(Part(q), Part(k), Part(v), heads)


def _back_apart(heads: int, kept: tuple[Flat, Flat, Flat], back: Flat) -> tuple[Flat, Flat, Flat]:
    return tuple(_gradients(*map(Part, kept), Part(back), heads))


_apart.defvjp(lambda q, k, v, heads: (_apart(q, k, v, heads), (q, k, v)), _back_apart)


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def _side_by_side(qkv: Flat, heads: int) -> Flat:
    return _z(*(Part(qkv, number, 3) for number in range(3)), heads)


def _back_side_by_side(heads: int, qkv: Flat, back: Flat) -> tuple[Flat]:
    found = _gradients(*(Part(qkv, number, 3) for number in range(3)), Part(back), heads, together=True)
    return (found[0] if len(found) == 1 else jnp.concatenate(found, axis=2),)


_side_by_side.defvjp(lambda qkv, heads: (_side_by_side(qkv, heads), qkv), _back_side_by_side)


class Part(NamedTuple):
    """One of several arrays [batch, token, channel] that lie side by side."""

    array: Flat
    number: int = 0
    count: int = 1

    @property
    def alone(self) -> jax.ShapeDtypeStruct:
        """Its shape."""
        *shape, channels = self.array.shape
        return jax.ShapeDtypeStruct((*shape, channels // self.count), self.array.dtype)


def _z(q: Part, k: Part, v: Part, heads: int) -> Flat:
    return _call(_forward, heads, (q,), (k, v), (q,), ())[0]


def _gradients(q: Part, k: Part, v: Part, back: Part, heads: int, together: bool = False) -> list[Flat]:
    return _call(_backward, heads, (q, back), (k, v), (q,), (k, v), together)


def _call(
    kernel: Callable[..., None],
    heads: int,
    of_queries: tuple[Part, ...],
    of_keys: tuple[Part, ...],
    gives_queries: tuple[Part, ...],
    gives_keys: tuple[Part, ...],
    together: bool = False,
) -> list[Flat]:
    """Runs a kernel over arrays of queries and of keys; it gives arrays that are like some of them, in that order.

    If wanted `together`, they come side by side in one where one program has all heads and all tokens.
    """
    from jax.experimental import pallas as pl  # a fifth of a second, which only TPUs need
    from jax.experimental.pallas import tpu as pltpu

    _, queries, channels = of_queries[0].alone.shape
    dtype, keys = of_queries[0].alone.dtype, of_keys[0].alone.shape[1]
    how = plan(heads, channels // heads, queries, keys)
    groups, chunks = how.grid

    def by_query(part: Part, first: int) -> pl.BlockSpec:
        return pl.BlockSpec((1, how.rows, how.group), lambda image, group, chunk: (image, chunk, first + group))

    def by_key(part: Part, first: int) -> pl.BlockSpec:
        return pl.BlockSpec((1, keys, how.group), lambda image, group, chunk: (image, 0, first + group))

    takes = [by_query(part, part.number * groups) for part in of_queries]
    takes += [by_key(part, part.number * groups) for part in of_keys]
    gives = [by_query(part, 0) for part in gives_queries] + [by_key(part, 0) for part in gives_keys]
    sides = [part.alone.shape[1:] for part in gives_queries + gives_keys]
    if together and groups == chunks == 1:
        gives = [pl.BlockSpec((1, keys, len(gives) * channels), lambda image, group, chunk: (image, 0, 0))]
        sides = [(keys, len(sides) * channels)]
    wide = jnp.promote_types(dtype, jnp.float32)
    blocks = (
        2 * how.group * max(how.rows, keys) * dtype.itemsize * len(of_queries + of_keys + gives_queries + gives_keys)
    )
    scores = ARRAYS * _filled(how.rows, LANES) * _filled(keys, LANES) * wide.itemsize

    def run(*arrays: Flat) -> list[Flat]:
        images = len(arrays[0])
        return pl.pallas_call(
            partial(kernel, how),
            grid=(images, groups, chunks),
            in_specs=takes,
            out_specs=gives,
            out_shape=[jax.ShapeDtypeStruct((images, *side), dtype) for side in sides],
            scratch_shapes=[pltpu.VMEM((keys, how.group), wide) for _ in gives_keys if chunks > 1],
            compiler_params=pltpu.CompilerParams(
                dimension_semantics=("parallel", "parallel", "arbitrary"),
                vmem_limit_bytes=max(MEMORY, blocks + scores),
            ),
            name=f"attention{kernel.__name__}",
        )(*arrays)

    return by_images(run, [part.array for part in of_queries + of_keys])


def _filled(count: int, to: int) -> int:
    return -(-count // to) * to


def _product(a: Array, b: Array, over: tuple = (((1,), (0,)), ((), ()))) -> Array:
    return lax.dot_general(a, b, over, preferred_element_type=jnp.promote_types(a.dtype, jnp.float32))


def _forward(how: Plan, q_ref, k_ref, v_ref, z_ref) -> None:
    """z of some queries: scores are [query, key]."""
    for first, stop, low, high in how.lanes():
        q, k, v = (ref[0, :, low:high] for ref in (q_ref, k_ref, v_ref))
        scores = _product(_of_head(q, first - low, stop - low, how.size**-0.5), k, ROWS)
        powers = jnp.exp(scores - scores.max(axis=1, keepdims=True))
        z = _product(powers.astype(v.dtype), v) / powers.sum(axis=1, keepdims=True)
        z_ref[0, :, first:stop] = z[:, first - low : stop - low].astype(z_ref.dtype)


def _backward(how: Plan, q_ref, back_ref, k_ref, v_ref, *gives) -> None:
    """Gradients of q, k and v from that of z, of some queries: scores are [key, query], as three of four read them."""
    from jax.experimental import pallas as pl

    if len(gives) == 1:
        gives = [gives[0].at[:, :, pl.ds(number * how.group, how.group)] for number in range(3)]
    to_q_ref, to_k_ref, to_v_ref, *sums = gives
    chunk = pl.program_id(2)
    if sums:

        @pl.when(chunk == 0)
        def _():
            for ref in sums:
                ref[...] = jnp.zeros_like(ref)

    for first, stop, low, high in how.lanes():
        q, back, k, v = (ref[0, :, low:high] for ref in (q_ref, back_ref, k_ref, v_ref))
        inside = partial(_of_head, first=first - low, stop=stop - low, rows=how.queries - chunk * how.rows)
        q, back = inside(q, factor=how.size**-0.5), inside(back)
        scores = _product(k, q, ROWS)
        powers = jnp.exp(scores - scores.max(axis=0, keepdims=True))
        probs = powers / powers.sum(axis=0, keepdims=True)
        weighted = probs * _product(v, back, ROWS)
        to_scores = (weighted - probs * weighted.sum(axis=0, keepdims=True)).astype(q.dtype)
        own = slice(first - low, stop - low)
        to_q_ref[0, :, first:stop] = (_product(to_scores, k, COLUMNS)[:, own] * how.size**-0.5).astype(to_q_ref.dtype)
        for product, ref, total in zip(
            (_product(to_scores, q), _product(probs.astype(q.dtype), back)),
            (to_k_ref, to_v_ref),
            sums or (None, None),
            strict=True,
        ):
            if total is None:
                ref[0, :, first:stop] = product[:, own].astype(ref.dtype)
            else:
                total[:, first:stop] += product[:, own]
    if sums:

        @pl.when(chunk == how.chunks - 1)
        def _():
            for ref, total in zip((to_k_ref, to_v_ref), sums, strict=True):
                ref[0] = total[...].astype(ref.dtype)


def _of_head(x: Array, first: int, stop: int, factor: float = 1.0, rows: int | Array | None = None) -> Array:
    """Lanes of one head, and as many rows, times a factor; zero elsewhere."""
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32)) * factor
    lane = lax.broadcasted_iota(jnp.int32, x.shape, 1)
    inside = (lane >= first) & (lane < stop)
    if rows is not None:
        inside &= lax.broadcasted_iota(jnp.int32, x.shape, 0) < rows
    return jnp.where(inside, wide, 0).astype(x.dtype)
