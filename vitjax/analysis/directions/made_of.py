"""Takes one image's value at a tap apart: a vector for each place, groups of these, and what classes they speak for.

After "The building blocks of interpretability" (Olah et al. 2018, doi 10.23915/distill.00010).
"""

import math
from dataclasses import dataclass
from functools import partial

import jax
import numpy as np
from jaxtyping import Array, Float, UInt8

from vitjax.analysis.directions.attribution import attributions
from vitjax.analysis.directions.components import METHODS, NEGATIVE, below, factors
from vitjax.analysis.study.patches import check_patches
from vitjax.errors import InputError, nearest
from vitjax.models.core.network import Network
from vitjax.units.units import CosinePower, check_tap

POWER = 2.0  # of the cosine in the goals of cells and groups
AUTO = "auto"  # nmf where values are from 0 up, semi-nmf elsewhere


@dataclass(frozen=True)
class Parts:
    """What an image is made of at a tap.

    Attributes:
        tap: where.
        values: at each place of the tap's grid, row by row, without the mean where one was taken off.
        grid: (rows, columns).
        names: of the parts: "3.5" the place in row 3 and column 5, "group 2".
        vectors: the direction of each part.
        amounts: how much of each part there is at each place; of places themselves their norms, elsewhere 0.
        classes: what each part adds to every logit, to first order; None of a model without a head.
        facts: how groups were found, and the error that they leave.
    """

    tap: str
    values: Float[np.ndarray, "place unit"]
    grid: tuple[int, int]
    names: tuple[str, ...]
    vectors: Float[np.ndarray, "part unit"]
    amounts: Float[np.ndarray, "part place"]
    classes: Float[np.ndarray, "part class"] | None
    facts: dict[str, float | str | int | bool]

    @property
    def norms(self) -> Float[np.ndarray, "row column"]:
        """The length of the value at each place."""
        return np.linalg.norm(self.values, axis=1).reshape(self.grid)

    def goals(self, name: str) -> list[CosinePower]:
        """What pictures of the parts are made for: the dot product with each times the squared cosine."""
        called = (one.replace(" ", "") for one in self.names)
        return [
            CosinePower(self.tap, f"{name}@{part}", vector.astype(np.float32), power=POWER)
            for part, vector in zip(called, self.vectors, strict=True)
        ]


def made_of(
    model: Network,
    image: UInt8[np.ndarray, "h w color"],
    tap: str,
    *,
    groups: int | None = None,
    method: str = AUTO,
    mean: Float[np.ndarray, " unit"] | None = None,
    seed: int = 0,
) -> Parts:
    """Takes the value of an image at a tap apart.

    Args:
        model: any.
        image: of the model's size.
        tap: with places on the image.
        groups: so many groups of places that are alike, found by factorising the values of all; None for each place.
        method: of the factorisation, of `METHODS`, or "auto".
        mean: taken off the values at all places first, such as that of a data set: residual streams share one long
            vector, by which all places look alike. What classes they speak for is of the values as they are.
        seed: of the factorisation.

    Raises:
        InputError: no such tap, one without places, more groups than places, an unknown method.
    """
    sites = model.taps()
    check_tap(tap, sites)
    check_patches(tap, site := sites[tap])
    if groups is None and method != AUTO:
        raise InputError(f"method goes with groups: how many groups of places shall {method} find?")
    if method not in (AUTO, *METHODS):
        raise InputError(f"unknown method {method!r}{nearest(method, METHODS)}: one of {AUTO}, {', '.join(METHODS)}")
    whole = np.asarray(_read(model, image[None] / np.float32(255), tap=tap), np.float32)
    whole = whole[0].reshape(site.tokens, -1)
    raw = whole[site.tokens - math.prod(site.grid) :]
    values = raw if mean is None else raw - mean
    if groups is None:
        names = tuple(f"{row}.{column}" for row in range(site.grid[0]) for column in range(site.grid[1]))
        vectors, facts = values, {}
        amounts, own = np.diag(np.linalg.norm(values, axis=1)), raw[:, None] * np.eye(len(raw))[..., None]
    else:
        if method == AUTO:
            method = "nmf" if below(values) <= NEGATIVE else "semi-nmf"
        found = factors(values, groups, method, tap=f"{tap} of one image", seed=seed)
        names, vectors = tuple(f"group {i}" for i in range(len(found.vectors))), found.vectors
        amounts, facts = found.codes.T, {"method": method, **found.facts}
        own = amounts[..., None] * found.patterns[:, None]
    classes = None
    if "logits" in sites:
        parts = np.zeros((len(own), *whole.shape), np.float32)
        parts[:, len(whole) - len(raw) :] = own
        classes = attributions(model, image, tap, parts.reshape(-1, *site.shape))
    return Parts(tap, values, site.grid, names, vectors, amounts, classes, facts)


@partial(jax.jit, static_argnames="tap")
def _read(model: Network, images: Array, *, tap: str) -> Array:
    return model(images, [tap])[tap]
