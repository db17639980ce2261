"""Heads as they lie in the registers of a TPU, whose lanes are channels: two arrays side by side, for one product.

A head of up to 64 channels leaves half of the matrix unit's 128 lanes unused. A second array's head lies there, moved
over by half a register, so that nothing is cut out.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax
from jax.experimental.pallas import tpu as pltpu

from vitjax.models.kernels.tpu_programs import LANES


class Window(NamedTuple):
    """The lanes of one register, or of one head that fills several.

    Attributes:
        lanes: which channels.
        heads: that lie in them.
        size: channels of a head.
    """

    lanes: slice
    heads: range
    size: int

    def side_by_side(self, one: Array, two: Array) -> list[Array]:
        """Both of [token, lane] beside each other, for each head."""
        if self.size >= LANES:
            return [jnp.concatenate([one, two], axis=1)]
        two = _over(two)
        rest = lambda others: two if 2 * self.size == LANES else jnp.where(others, two, 0)
        return [jnp.where(mine, one, rest(others)) for mine, others in self._masks(one)]

    def apart(self, found: Sequence[Array]) -> tuple[Array, Array]:
        """What `side_by_side` put together, of all heads."""
        if self.size >= LANES:
            return found[0][:, : self.size], found[0][:, self.size :]
        one, two = found[0], found[0]  # right for the head that no mask is asked for
        for each, (mine, others) in list(zip(found, self._masks(found[0]), strict=True))[1:]:
            one, two = jnp.where(mine, each, one), jnp.where(others, each, two)
        return one, _over(two)

    def _masks(self, like: Array) -> list[tuple[Array, Array]]:
        lane = lax.broadcasted_iota(jnp.int32, like.shape, 1)
        within = lambda first: (lane >= first) & (lane < first + self.size)
        firsts = range(0, LANES, self.size)
        return [(within(first), within((first + LANES // 2) % LANES)) for first in firsts]


def windows(channels: int, heads: int) -> list[Window]:
    """Those of all channels, in order; heads are as wide as registers, or as a half of one is split evenly."""
    size = channels // heads
    width = max(size, LANES)
    each = width // size
    return [
        Window(slice(number * width, (number + 1) * width), range(number * each, (number + 1) * each), size)
        for number in range(channels // width)
    ]


def _over(x: Array) -> Array:
    """Half a register further."""
    return pltpu.roll(x, LANES // 2, 1)
