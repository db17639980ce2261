"""Dynamic Token Normalization on TPUs: all of it for an image while its tokens are in the chip's vector memory.

Written as arrays, each of its dozen numbers of every token passes through the chip's memory, forward and once more
backward, where LayerNorm has two numbers for a token. Here a program reads an image's tokens and writes what they
become, or what comes back to them; backward, statistics are computed again and nothing is kept.

Means and squares of a head are two products by the same matrix. Heads of up to 64 channels do not fill the 128 lanes of
the matrix unit, so both are one product: squares lie in lanes of the register where its other heads were.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.experimental import pallas as pl
from jax.experimental.pallas import tpu as pltpu
from jaxtyping import Array, Float

from vitjax.models.kernels.by_images import by_images
from vitjax.models.kernels.tpu_programs import LANES, SUBLANES
from vitjax.models.kernels.tpu_windows import Window, windows

Tokens = Float[Array, "batch token channel"]
Around = Float[Array, "head source reader"]
Rows = Float[Array, "row channel"]

MOST = 2 * LANES  # tokens: the matrix of more costs more operations than its factors
MEMORY, HELD = 16 * 2**20, 96 * 2**20  # bytes of vector memory that every kernel may take, and that one may ask for
ARRAYS = 16  # of an image's tokens in float32 that a program works on


class Form(NamedTuple):
    """What is known when a norm is compiled.

    Attributes:
        heads: that channels are split into.
        eps: added to variances.
        ddof: what is taken from the number of channels in the variance within a token.
    """

    heads: int
    eps: float
    ddof: int


def takes(x: Tokens | jax.ShapeDtypeStruct, heads: int) -> bool:
    """Whether the kernel is made for such tokens, split into heads."""
    _, tokens, channels = x.shape
    size = channels // heads
    fitting = channels % LANES == 0 and (size % LANES == 0 or (LANES // 2) % size == 0)
    floats = jnp.issubdtype(x.dtype, jnp.floating) and x.dtype.itemsize <= 4
    return floats and fitting and SUBLANES <= tokens <= MOST and _memory(tokens, channels, heads) <= HELD


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def normed(form: Form, x: Tokens, around: Around, rows: Rows) -> Tokens:
    """Normalises.

    Args:
        form: see there.
        x: the tokens.
        around: P, by which a reader weighs sources; sums over these are 1.
        rows: in float32, for each channel the share that its token's own mean has, that its own variance has, scale
            and bias.
    """
    return _forward(form, x, around, rows)[0]


def _forward(form: Form, x: Tokens, around: Around, rows: Rows) -> tuple[Tokens, tuple[Tokens, Around, Rows]]:
    def run(x: Tokens, turned: Around, rows: Rows) -> list[Tokens]:
        images, tokens, channels = x.shape
        return pl.pallas_call(
            partial(_forward_kernel, form),
            grid=(images,),
            in_specs=[_of_image(x), _whole(turned), _whole(rows)],
            out_specs=[_of_image(x)],
            out_shape=[jax.ShapeDtypeStruct(x.shape, x.dtype)],
            compiler_params=_compiler(tokens, channels, form.heads),
            name="token_norm_forward",
        )(x, turned, rows)

    (y,) = by_images(run, [x], [_turned(around, x.dtype), rows])
    return y, (x, around, rows)


def _backward(form: Form, kept: tuple[Tokens, Around, Rows], back: Tokens) -> tuple[Tokens, Around, Rows]:
    x, around, rows = kept

    def run(x: Tokens, back: Tokens, turned: Around, around: Around, rows: Rows) -> list[Array]:
        images, tokens, channels = x.shape
        return pl.pallas_call(
            partial(_backward_kernel, form),
            grid=(images,),
            in_specs=[_of_image(x), _of_image(back), _whole(turned), _whole(around), _whole(rows)],
            out_specs=[_of_image(x), _whole(around), _whole(rows)],
            out_shape=[
                jax.ShapeDtypeStruct(x.shape, x.dtype),
                jax.ShapeDtypeStruct(around.shape, jnp.float32),
                jax.ShapeDtypeStruct(rows.shape, jnp.float32),
            ],
            scratch_shapes=[pltpu.VMEM((tokens, channels), jnp.float32)],
            compiler_params=_compiler(tokens, channels, form.heads),
            name="token_norm_backward",
        )(x, back, turned, around, rows)

    wide = [_turned(around, x.dtype), around.astype(x.dtype), rows]
    to_x, to_around, to_rows = by_images(run, [x, back], wide, summed=2)
    return to_x, to_around.astype(around.dtype), to_rows


normed.defvjp(_forward, _backward)


def _of_image(x: Tokens) -> pl.BlockSpec:
    return pl.BlockSpec((1, *x.shape[1:]), lambda image: (image, 0, 0))


def _whole(x: Array) -> pl.BlockSpec:
    """What all images have, or sum up."""
    return pl.BlockSpec(x.shape, lambda image: (0,) * x.ndim)


def _turned(around: Around, dtype: jnp.dtype) -> Float[Array, "head reader source"]:
    return around.swapaxes(1, 2).astype(dtype)


def _memory(tokens: int, channels: int, heads: int) -> int:
    """Bytes of vector memory that a program takes at most."""
    matrix = heads * (-(-tokens // SUBLANES) * SUBLANES) * (-(-tokens // LANES) * LANES)
    return ARRAYS * 4 * tokens * channels + 2 * 12 * matrix


def _compiler(tokens: int, channels: int, heads: int) -> pltpu.CompilerParams:
    limit = max(MEMORY, _memory(tokens, channels, heads))
    return pltpu.CompilerParams(dimension_semantics=("arbitrary",), vmem_limit_bytes=limit)


class Own(NamedTuple):
    """Statistics of each token, and the mean of all, by which channels are centred."""

    mean: Float[Array, "token 1"]
    variance: Float[Array, "token 1"]
    centre: Float[Array, "1 channel"]


def _own(form: Form, x: Float[Array, "token channel"]) -> Own:
    mean = x.mean(axis=1, keepdims=True)
    variance = jnp.square(x - mean).sum(axis=1, keepdims=True) / (x.shape[1] - form.ddof)
    return Own(mean, variance, x.mean(axis=0, keepdims=True))


class Mixed(NamedTuple):
    """What becomes of the channels of a window: these less the centre, statistics, 1 / √(V + ε), what is normed."""

    z: Array
    sources: list[Array]  # they and their squares, for each head
    apart: Array  # the token's own mean less the centre
    near: Array
    variance: Array
    root: Array
    unit: Array


def _mixed(form: Form, window: Window, x: Array, own: Own, turned_ref, rows: Rows, dtype: jnp.dtype) -> Mixed:
    of_mean, of_variance = rows[0:1], rows[1:2]
    centre = own.centre[:, window.lanes]
    z, apart = x - centre, own.mean - centre
    sources = [one.astype(dtype) for one in window.side_by_side(z, jnp.square(z))]
    found = [_product(turned_ref[head], one) for head, one in zip(window.heads, sources, strict=True)]
    near, square = window.apart(found)
    variance = jnp.maximum(square - jnp.square(near), 0)
    root = lax.rsqrt(of_variance * own.variance + (1 - of_variance) * variance + form.eps)
    unit = (z - (of_mean * apart + (1 - of_mean) * near)) * root
    return Mixed(z, sources, apart, near, variance, root, unit)


def _product(a: Array, b: Array, over: tuple[int, int] = (1, 0)) -> Array:
    """Of two matrices, in float32 at least, summed over an axis of each."""
    wide = jnp.promote_types(a.dtype, jnp.float32)
    return lax.dot_general(a, b, (((over[0],), (over[1],)), ((), ())), preferred_element_type=wide)


def _forward_kernel(form: Form, x_ref, turned_ref, rows_ref, y_ref) -> None:
    x = x_ref[0].astype(jnp.float32)
    own = _own(form, x)
    for window in windows(x.shape[1], form.heads):
        rows = rows_ref[:, window.lanes]
        mixed = _mixed(form, window, x[:, window.lanes], own, turned_ref, rows, x_ref.dtype)
        y_ref[0, :, window.lanes] = (mixed.unit * rows[2:3] + rows[3:4]).astype(y_ref.dtype)


def _backward_kernel(form: Form, x_ref, back_ref, turned_ref, around_ref, rows_ref, *gives) -> None:
    to_x_ref, to_around_ref, to_rows_ref, partly_ref = gives

    @pl.when(pl.program_id(0) == 0)
    def _():
        to_around_ref[...] = jnp.zeros_like(to_around_ref)
        to_rows_ref[...] = jnp.zeros_like(to_rows_ref)

    x, dtype = x_ref[0].astype(jnp.float32), x_ref.dtype
    own = _own(form, x)
    to_mean = to_variance = 0  # of a token, summed over windows
    for window in windows(x.shape[1], form.heads):
        rows, back = rows_ref[:, window.lanes], back_ref[0, :, window.lanes].astype(jnp.float32)
        of_mean, of_variance, scale = rows[0:1], rows[1:2], rows[2:3]
        mixed = _mixed(form, window, x[:, window.lanes], own, turned_ref, rows, dtype)
        to_z = back * scale * mixed.root  # what comes back to M is -1 times, to V half of -1 times the next
        to_v = to_z * mixed.unit * mixed.root
        parts = to_z * (mixed.near - mixed.apart), to_v * (mixed.variance - own.variance), back * mixed.unit, back
        factors = 1, 0.5, 1, 1
        sums = [part.sum(axis=0, keepdims=True) * factor for part, factor in zip(parts, factors, strict=True)]
        to_rows_ref[:, window.lanes] += jnp.concatenate(sums)
        to_mean, to_variance = to_mean - of_mean * to_z, to_variance - of_variance * to_v
        to_square = jnp.where(mixed.variance > 0, (0.5 * of_variance - 0.5) * to_v, 0)
        to_near = (of_mean - 1) * to_z - 2 * mixed.near * to_square
        backs = [one.astype(dtype) for one in window.side_by_side(to_near, to_square)]
        for head, one, two in zip(window.heads, mixed.sources, backs, strict=True):
            to_around_ref[head] += _product(one, two, (1, 1))
        found = [_product(around_ref[head], one) for head, one in zip(window.heads, backs, strict=True)]
        through, twice = window.apart(found)
        partly_ref[:, window.lanes] = to_z + through + 2 * mixed.z * twice
    channels = x.shape[1]
    to_mean = to_mean.sum(axis=1, keepdims=True) / channels
    to_variance = to_variance.sum(axis=1, keepdims=True) / (channels - form.ddof)
    to_x_ref[0] = (partly_ref[...] + to_mean + to_variance * (x - own.mean)).astype(to_x_ref.dtype)
