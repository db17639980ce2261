"""Runs code as under JAX's default settings (promotion, x64, random generator), whatever a user has set.

JAX can be told to promote neither ranks nor dtypes, to compute in 64 bits where no dtype is named, and to draw from
other generators. Models and their parts are written for JAX as it comes.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import jax

GENERATOR = "threefry2x32"


def key(seed: int | jax.Array) -> jax.Array:
    """A random key of the one generator that is drawn from here, whichever JAX is set to."""
    return jax.random.key(seed, impl=GENERATOR)


@contextmanager
def promoting() -> Iterator[None]:
    """Lets ranks and dtypes be promoted within: around whatever is traced, and by itself what a user may trace.

    As a decorator it holds in every call.
    """
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        yield


@contextmanager
def standard() -> Iterator[None]:
    """JAX as it comes, within: for a whole computation from its inputs to its result, never inside of a trace.

    The precision of products is the caller's, who may want TF32 or not. It holds for the thread that enters it.
    """
    with promoting(), jax.enable_x64(False), jax.default_prng_impl(GENERATOR), jax.threefry_partitionable(True):
        yield
