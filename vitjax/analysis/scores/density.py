"""Counts how often units are active, and how many are at once: density and L0, one definition for every tap.

A latent of a dictionary is active where it is not 0, as some dictionaries keep negative ones; any other unit where it
is above 0. Density is the share of tokens on which a unit is active, L0 the number of units that are active on a token.
A unit is dead that never is active, and dense that is on more than `DENSE` of the tokens.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from vitjax.models.core.vocabulary import split_tap
from vitjax.models.dictionaries.dictionary import SAE

DENSE = 1e-2  # share of tokens above which a unit is active too often to say much


def latent(tap: str) -> bool:
    """Whether a tap holds the latents of a dictionary."""
    return split_tap(tap).name.rpartition(".")[2].partition("@")[0] == SAE


def active(values: Float[Array, "*place unit"], latent: bool) -> Bool[Array, "*place unit"]:
    """Where units are active."""
    return values != 0 if latent else values > 0


class Active(NamedTuple):
    """What the tokens of each image say: how many a unit is active on, the sum of its values there, and L0 over tokens.

    Attributes:
        count: of active tokens.
        total: of the values on them.
        units, squares: the sum over tokens of the number of active units, and of its square.
    """

    count: Int[Array, "image unit"]
    total: Float[Array, "image unit"]
    units: Float[Array, " image"]
    squares: Float[Array, " image"]


def per_image(values: Float[Array, "image token unit"], latent: bool) -> Active:
    """Counts over the tokens of each image, on the device that holds them."""
    on = active(values, latent)
    at_once = on.sum(axis=2, dtype=jnp.int32).astype(jnp.float32)
    return Active(
        count=on.sum(axis=1, dtype=jnp.int32),
        total=jnp.where(on, values, 0).astype(jnp.float32).sum(axis=1),
        units=at_once.sum(axis=1),
        squares=(at_once**2).sum(axis=1),
    )


class Density(NamedTuple):
    """How often units are active over some tokens; `of` makes it, and two of other tokens are merged by `merge`.

    Attributes:
        tokens: how many were looked at.
        count: of tokens on which each unit is active, int64.
        total: the sum of its values there, float64.
        units, squares: the sum over tokens of the number of active units, and of its square.
    """

    tokens: int
    count: Int[np.ndarray, " unit"]
    total: Float[np.ndarray, " unit"]
    units: float
    squares: float

    @property
    def density(self) -> Float[np.ndarray, " unit"]:
        """The share of tokens on which each unit is active."""
        return self.count / max(self.tokens, 1)

    @property
    def dead(self) -> Bool[np.ndarray, " unit"]:
        """The units that never are active."""
        return self.count == 0

    @property
    def dense(self) -> Bool[np.ndarray, " unit"]:
        """The units that are active on more than `DENSE` of the tokens."""
        return self.density > DENSE

    @property
    def when_active(self) -> Float[np.ndarray, " unit"]:
        """The mean value where a unit is active; NaN for a dead one."""
        return np.divide(self.total, self.count, out=np.full(len(self.count), np.nan), where=self.count > 0)

    @property
    def l0(self) -> float:
        """The mean number of active units on a token."""
        return self.units / max(self.tokens, 1)

    @property
    def l0_std(self) -> float:
        """Its standard deviation over tokens."""
        return float(np.sqrt(max(self.squares / max(self.tokens, 1) - self.l0**2, 0)))


def of(counted: Active, tokens: int) -> Density:
    """Sums over images, exactly.

    Args:
        counted: of each image.
        tokens: that were looked at in each of them.
    """
    counted = Active(*map(np.asarray, counted))
    wide = lambda values: values.sum(axis=0, dtype=np.float64)
    return Density(
        tokens=tokens * len(counted.count),
        count=counted.count.sum(axis=0, dtype=np.int64),
        total=wide(counted.total),
        units=float(wide(counted.units)),
        squares=float(wide(counted.squares)),
    )


def merge(first: Density | None, second: Density) -> Density:
    """The density over the tokens of both."""
    return second if first is None else Density(*(a + b for a, b in zip(first, second, strict=True)))
