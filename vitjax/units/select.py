"""Where units and tokens lie in the value of a tap."""

import math
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from vitjax.errors import InputError
from vitjax.models.core.tap_site import PLACES, Site, halved
from vitjax.models.core.vocabulary import PATCH
from vitjax.units.units import Unit


def flat_index(units: Sequence[Unit], site: Site) -> Int[np.ndarray, " unit"]:
    """The place of each unit of one tap in the tap's flattened index space, int32."""
    return np.array([np.ravel_multi_index(unit.index, site.units) for unit in units], np.int32)


def at_tokens(values: Float[Array, "image ..."], site: Site, tokens: str) -> Float[Array, "image token unit"]:
    """A tap's value at the tokens that count, its other axes as one of units; a tap without places has one token.

    The tokens of a map are its places, row by row.

    Args:
        values: of the tap.
        site: of the tap; fewer tokens than it says may have come where some were dropped.
        tokens: "patches", "class", "all" or "patch N".

    Raises:
        InputError: see `token_span`.
    """
    where = sum(axis in PLACES for axis in site.axes)
    if not where:
        return values.reshape(len(values), 1, -1).astype(jnp.float32)
    flat = values.reshape(len(values), math.prod(values.shape[1 : 1 + where]), -1)
    return flat[:, token_span(tokens, site)].astype(jnp.float32)


def on_grid(
    values: Float[Array, "image ..."], site: Site, grid: tuple[int, int] | None = None
) -> Float[Array, "image row column unit"]:
    """A tap's value on a grid of places, without the tokens before them, its other axes as one of units.

    Args:
        values: of the tap.
        site: of the tap.
        grid: (rows, columns) of patches over which the places are averaged, or that a later stage's places cover, so
            that values of different resolutions lie beside each other; their mean over all places stays what it was,
            but where a stage halved an odd number. Default: the places as they are.

    Raises:
        InputError: the tap has no places on the image.
    """
    if site.grid is None or not site.places:
        raise InputError(f"there are no places on the image in a value with the axes {', '.join(site.axes)}")
    found = at_tokens(values, site, "patches").reshape(len(values), *site.grid, -1)
    if grid is None or grid == site.grid:
        return found
    times = halved(grid, site.grid)
    sides = zip(site.grid, grid, strict=True)
    down, across = (covered(of, to, times) if times else shares(of, to) for of, to in sides)
    return jnp.einsum("irsu,pr,qs->ipqu", found, down, across, precision="highest")


def covered(places: int, patches: int, times: int) -> Float[np.ndarray, "patch place"]:
    """Which place each patch is part of, 1 or 0, where a place covers so many patches of one side of an image."""
    return (np.arange(patches)[:, None] // times == np.arange(places)).astype(np.float32)


def shares(places: int, patches: int) -> Float[np.ndarray, "patch place"]:
    """How much of each patch each place is, where both divide one side of an image evenly."""
    of, to = np.linspace(0, 1, places + 1), np.linspace(0, 1, patches + 1)[:, None]
    both = np.minimum(of[1:], to[1:]) - np.maximum(of[:-1], to[:-1])
    return (np.maximum(both, 0) * patches).astype(np.float32)


def token_span(tokens: str, site: Site) -> slice:
    """The tokens that count, as a slice of a tap's places.

    Raises:
        InputError: unknown tokens, or tokens that the tap does not have.
    """
    if tokens == "class":
        if not site.class_token:
            raise InputError("tokens='class': there is no class token at this tap; use tokens='patches'")
        return slice(0, 1)
    if tokens == "all":
        return slice(None)
    if tokens == "patches":
        return slice(site.prefix, None)
    if not isinstance(tokens, str) or not (number := PATCH.fullmatch(tokens)):
        raise InputError(f"unknown tokens {tokens!r}: write patches, class, all or 'patch N'")
    if site.axes[0] != "token":
        raise InputError(f"tokens={tokens!r}: the maps of this model have different sizes; use tokens='patches'")
    patch, patches = int(number[1]), math.prod(site.grid or ())
    if patch >= patches:
        raise InputError(f"tokens='patch {patch}' is out of range, this tap has {patches} patches")
    return slice(site.prefix + patch, site.prefix + patch + 1)
