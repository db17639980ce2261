"""Attention on TPUs over whole rows: the scores of a query live and die in the chip's vector memory.

A program reads q, k and v of some heads of one image where their projections left them, channels of all heads side by
side, and writes z there. It has a row of scores at once, so there is nothing to carry from one block of keys to the
next: made for the hundreds of tokens of an image, not for the thousands of a text. Backward, scores are computed again
and nothing is kept. Heads that are narrower than the 128 lanes of the chip are not cut out: of the lanes that are
loaded those of other heads are zeroed in one factor of each product, which costs the matrix unit nothing.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from math import lcm

import jax
import jax.numpy as jnp
from jax import lax
from jax.experimental import pallas as pl
from jax.experimental.pallas import tpu as pltpu
from jaxtyping import Array, Float

Heads = Float[Array, "batch token head channel"]
Flat = Float[Array, "batch token channel"]  # of all heads

LANES, SUBLANES = 128, 8  # of a register of the vector unit
FEWEST, MOST = SUBLANES, 1280  # tokens: fewer waste the registers, more do not fit into the memory
QUERIES = 256  # of a program, of images with more
REGISTERS = 1024  # of scores in a program, unless one head has more: its code is unrolled
MEMORY = 64 * 2**20  # bytes of vector memory, of 128 MiB on v5e and v6e
ROWS, COLUMNS = (((1,), (1,)), ((), ())), (((0,), (0,)), ((), ()))  # which axes a product sums over


@dataclass(frozen=True)
class Plan:
    """How the heads and queries of an image are dealt out to programs.

    Attributes:
        heads, size: heads, and channels of one.
        queries, keys: tokens.
        rows: queries of one program.
        group: channels of one program, those of whole heads.
    """

    heads: int
    size: int
    queries: int
    keys: int
    rows: int
    group: int

    @property
    def chunks(self) -> int:
        """Programs that share an image's queries."""
        return -(-self.queries // self.rows)

    @property
    def grid(self) -> tuple[int, int]:
        """Programs of an image: groups of heads, chunks of queries."""
        return self.heads * self.size // self.group, self.chunks

    def lanes(self) -> Iterator[tuple[int, int, int, int]]:
        """Of each head of a program: its first lane, the one after its last, and the same of the registers around."""
        for first in range(0, self.group, self.size):
            stop = first + self.size
            yield first, stop, first // LANES * LANES, min(-(-stop // LANES) * LANES, self.group)


def plan(heads: int, size: int, queries: int, keys: int) -> Plan:
    """Deals out as many heads to a program as its code can hold; queries are only split where there are many."""
    rows = queries if queries <= QUERIES else QUERIES
    unit, width = lcm(size, LANES), heads * size
    if width % unit:
        return Plan(heads, size, queries, keys, rows, width)
    registers = -(-rows // SUBLANES) * -(-keys // LANES) * (unit // size)
    units = width // unit
    most = max(n for n in range(1, units + 1) if units % n == 0 and n <= max(1, REGISTERS // registers))
    return Plan(heads, size, queries, keys, rows, unit * most)


def takes(q: Heads) -> bool:
    """Whether the kernel is made for tokens of this dtype and number."""
    return jnp.issubdtype(q.dtype, jnp.floating) and q.dtype.itemsize <= 4 and FEWEST <= q.shape[1] <= MOST


def attend(q: Heads, k: Heads, v: Heads) -> Heads:
    """Attention from q, k and v to z; k and v may be of other tokens than q."""
    flat = (part.reshape(*part.shape[:2], -1) for part in (q, k, v))
    return _rows(*flat, q.shape[2]).reshape(q.shape)


@partial(jax.custom_vjp, nondiff_argnums=(3,))
def _rows(q: Flat, k: Flat, v: Flat, heads: int) -> Flat:
    return _call(_forward, heads, (q,), (k, v), (q,), ())[0]


def _rows_forward(q: Flat, k: Flat, v: Flat, heads: int) -> tuple[Flat, tuple[Flat, Flat, Flat]]:
    return _rows(q, k, v, heads), (q, k, v)


def _rows_backward(heads: int, kept: tuple[Flat, Flat, Flat], back: Flat) -> tuple[Flat, Flat, Flat]:
    q, k, v = kept
    return tuple(_call(_backward, heads, (q, back), (k, v), (q,), (k, v)))


_rows.defvjp(_rows_forward, _rows_backward)


def _call(
    kernel: Callable[..., None],
    heads: int,
    of_queries: tuple[Flat, ...],
    of_keys: tuple[Flat, ...],
    gives_queries: tuple[Flat, ...],
    gives_keys: tuple[Flat, ...],
) -> list[Flat]:
    """Runs a kernel over arrays of queries and of keys; it gives arrays that are like some of them, in that order."""
    q, k = of_queries[0], of_keys[0]
    how = plan(heads, q.shape[2] // heads, q.shape[1], k.shape[1])
    by_query = pl.BlockSpec((1, how.rows, how.group), lambda image, group, chunk: (image, chunk, group))
    by_key = pl.BlockSpec((1, how.keys, how.group), lambda image, group, chunk: (image, 0, group))
    wide = jnp.promote_types(q.dtype, jnp.float32)
    return pl.pallas_call(
        partial(kernel, how),
        grid=(len(q), *how.grid),
        in_specs=[by_query] * len(of_queries) + [by_key] * len(of_keys),
        out_specs=[by_query] * len(gives_queries) + [by_key] * len(gives_keys),
        out_shape=[jax.ShapeDtypeStruct(part.shape, part.dtype) for part in gives_queries + gives_keys],
        scratch_shapes=[pltpu.VMEM((how.keys, how.group), wide) for _ in gives_keys if how.chunks > 1],
        compiler_params=pltpu.CompilerParams(
            dimension_semantics=("parallel", "parallel", "arbitrary"), vmem_limit_bytes=MEMORY
        ),
        name=f"attention{kernel.__name__}",
    )(*of_queries, *of_keys)


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


def _backward(how: Plan, q_ref, back_ref, k_ref, v_ref, to_q_ref, to_k_ref, to_v_ref, *sums) -> None:
    """Gradients of q, k and v from that of z, of some queries: scores are [key, query], as three of four read them."""
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
