"""Leaves branches of blocks out at random while a model learns (stochastic depth, Huang et al. 2016)."""

from collections.abc import Mapping, Sized
from dataclasses import dataclass, field, replace

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


@dataclass(frozen=True)
class DropPath:
    """Stochastic depth (arXiv 1603.09382): an image goes past a branch of a block, alone of its batch, at random.

    The rate grows in a line from 0 for the first block to `rate` for the last, counted through all stages. Where a
    branch stays, what it adds is divided by the share of images in which it does, so that the mean is the same.
    Given to a call of a model, it stands for the whole of it; `block` gives that of one block.

    Attributes:
        key: that draws: of a step, so that the step says all.
        rate: of the last block, below 1.
        number: of the block.
    """

    key: jax.Array
    rate: float
    number: jax.Array | int = 0
    _firsts: Mapping[str, int] = field(default_factory=dict)
    _depth: int = 0

    def over(self, stacks: Mapping[str, Sized]) -> "DropPath":
        """The same for a model of these stacks of blocks; see `Network.rows`."""
        firsts, depth = {}, 0
        for name, blocks in stacks.items():
            firsts[name], depth = depth, depth + len(blocks)
        return replace(self, _firsts=firsts, _depth=depth)

    def block(self, stack: str, number: jax.Array | int) -> "DropPath":
        """That of a block of a stack, whose number is an array within a scan."""
        return replace(self, number=self._firsts[stack] + number)

    def __call__(self, out: Float[Array, "image ..."], branch: int) -> Float[Array, "image ..."]:
        """What a branch of the block adds: nothing in some images, more in the others.

        Args:
            out: what it would add.
            branch: its number in the block, whose branches are left out one by one.
        """
        stays = 1 - self.rate * self.number / max(1, self._depth - 1)
        key = jax.random.fold_in(jax.random.fold_in(self.key, self.number), branch)
        kept = jax.random.bernoulli(key, stays, (len(out), *[1] * (out.ndim - 1)))
        return out * jnp.asarray(kept / stays, out.dtype)
