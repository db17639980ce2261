"""Goals that make a picture like a photograph to a model: feature inversion, caricatures, and staying near one."""

import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from vitjax.errors import InputError, nearest
from vitjax.models.core.network import Network
from vitjax.optimize.goals.objective import Objective, Sites, Values
from vitjax.optimize.goals.penalties import TINY
from vitjax.optimize.photographs.starts import Photographs
from vitjax.ranges import Range
from vitjax.units.algebra import Algebra
from vitjax.units.select import at_tokens
from vitjax.units.tables import Table
from vitjax.units.units import caption, matching

POWER = Range(0, 100)
FLOOR = 0.1  # of a cosine whose power is taken (Lucid, `recipes/caricature.py`)

Found = Float[Array, "image token unit"]
Wanted = Float[Array, "token unit"]


def _inverted(found: Found, wanted: Wanted, power: Array) -> Float[Array, " image"]:
    """Minus the squared distance over the squared length of what is wanted (Mahendran and Vedaldi 2015)."""
    return -jnp.sum((found - wanted) ** 2, axis=(1, 2)) / (jnp.sum(wanted * wanted) + TINY)


def _exaggerated(found: Found, wanted: Wanted, power: Array) -> Float[Array, " image"]:
    """The dot product over that of the photograph with itself, times a power of the cosine, 0.1 at least."""
    own, along = jnp.sum(wanted * wanted), jnp.sum(found * wanted, axis=(1, 2))
    cosine = along * jax.lax.rsqrt(own * jnp.sum(found * found, axis=(1, 2)) + TINY)
    return along / (own + TINY) * jnp.maximum(FLOOR, cosine) ** power


def _near(found: Found, wanted: Wanted, power: Array) -> Float[Array, " image"]:
    """Minus the distance at each place, their mean (Hamblin et al. 2024); its gradient at 0 is 0."""
    return -jnp.sqrt(jnp.sum((found - wanted) ** 2, axis=2) + TINY).mean(axis=1)


class Kind(NamedTuple):
    """A kind of likeness: its name in that of a goal, and the activation."""

    word: str
    activation: Callable[[Found, Wanted, Array], Float[Array, " image"]]


KINDS = {
    "l2": Kind("inversion", _inverted),
    "dot": Kind("caricature", _exaggerated),
    "distance": Kind("near", _near),
}


@dataclass(frozen=True, eq=False)
class Likeness(Algebra):
    """A goal: what a model computes at a tap is to be as it is for a photograph, place by place.

    Attributes:
        tap: where.
        name: of the photograph, by which the goal is told from others.
        target: the tap's value for it, [*axes], all tokens among them.
        kind: "l2" inverts the features: minus the squared distance, over the squared length of the target; at best 0.
            "dot" exaggerates them, a caricature: the dot product, over the target's with itself; the photograph has 1.
            "distance" is minus the distance at each place, their mean.
        power: of "dot": it is multiplied by this power of the cosine with the target, of 0.1 at least.
        variant: as a unit's.
    """

    tap: str
    name: str
    target: np.ndarray
    kind: str = "l2"
    power: float = 0.0
    variant: int = 0

    def __post_init__(self):
        if self.kind not in KINDS:
            raise InputError(f"unknown kind {self.kind!r}{nearest(str(self.kind), KINDS)}: one of {', '.join(KINDS)}")
        object.__setattr__(self, "power", POWER.check(f"{self.name}: power of the cosine", self.power))
        if self.power and self.kind != "dot":
            raise InputError(f"{self.name}: a power of the cosine goes with kind='dot', not with {self.kind!r}")

    def __str__(self) -> str:
        power = f"{self.power:g}, " if self.power else ""
        return f"{KINDS[self.kind].word}({power}{self.tap}, {self.name}){f'#{self.variant}' if self.variant else ''}"

    @property
    def hash(self) -> int:
        """32 bits of its name."""
        return zlib.crc32(str(self).encode())

    @property
    def objective(self) -> Objective:
        """What is computed: one program for all photographs at a tap."""
        return LikenessTo(self.tap, self.kind)


@dataclass(frozen=True)
class LikenessTo(Objective):
    """How like a target a tap's value is; see `Likeness`. Targets and powers are data."""

    kind: str = "l2"
    still = True

    def numbers(self, goals: Sequence[Likeness], sites: Sites) -> Any:
        """(targets float32 [goal, *axes], powers float32 [goal])."""
        shape = sites[self.tap].shape
        for goal in goals:
            target = np.asarray(goal.target)
            if target.shape != shape:
                raise InputError(f"{goal}: the target has shape {target.shape}, {self.tap} has {shape}")
            if not np.isfinite(target).all() or not target.any():
                raise InputError(f"{goal}: the target has {'only zeros' if not target.any() else 'no finite numbers'}")
        targets = np.stack([np.asarray(goal.target, np.float32) for goal in goals])
        return targets, np.array([goal.power for goal in goals], np.float32)

    def activation(self, values: Values, numbers: Any, *, sites: Sites, tokens: str) -> Float[Array, " image"]:
        """See `Objective.activation`."""
        target, power = numbers
        found, wanted = (at_tokens(one, sites[self.tap], tokens) for one in (values[self.tap], target[None]))
        return KINDS[self.kind].activation(found, wanted[0], power)


def likenesses(
    model: Network, seen: Photographs, taps: str | Sequence[str], kind: str = "l2", power: float = 0.0
) -> Table:
    """Goals to be like photographs at taps: a row for each photograph, a column for each tap.

    Args:
        model: any.
        seen: the photographs, as `vitjax.optimize.photographs.starts.photographs` reads them.
        taps: their names, or patterns such as "blocks.*.resid_post".
        kind, power: see `Likeness`.

    Raises:
        InputError: no such tap, kind or power; two photographs of one name.
    """
    if twice := [name for name, count in Counter(seen.names).items() if count > 1]:
        raise InputError(
            f"two photographs are called {twice[0]}: give them different names, by which pictures are told apart"
        )
    patterns = [taps] if isinstance(taps, str) else taps
    found = tuple(dict.fromkeys(tap for pattern in patterns for tap in matching(pattern, model.taps())))
    rows = []
    for name, image in zip(seen.names, seen.images[:, None] / np.float32(255), strict=True):
        targets = zip(found, features(model, image, found), strict=True)
        rows.append(tuple(Likeness(tap, name, target[0], kind, power) for tap, target in targets))
    return Table(tuple(rows), seen.names, tuple(map(caption, found)))


def features(model: Network, images: Float[Array, "image h w color"], taps: tuple[str, ...]) -> list[np.ndarray]:
    """What a model computes of images at taps, float32."""
    values = _read(model, images, taps=taps)
    return [np.asarray(values[tap], np.float32) for tap in taps]


@partial(jax.jit, static_argnames="taps")
def _read(model: Network, images: Array, *, taps: tuple[str, ...]) -> dict[str, Array]:
    return model(images, taps)
