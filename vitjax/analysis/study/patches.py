"""Reads from a tap's value what each unit does at each patch, and measures how unevenly.

Values that stand on another grid than the patches of the model's config, such as those of a network's later stages, are
laid over these, so that they lie beside each other. Which place fires is asked on the tap's own grid, see `own_grid`.
"""

import math
from collections.abc import Iterable
from dataclasses import replace

import jax.numpy as jnp
from jaxtyping import Array, Float

from vitjax.errors import InputError
from vitjax.models.core.network import Network
from vitjax.models.core.tap_site import Site
from vitjax.units.select import at_tokens, on_grid, token_span
from vitjax.units.units import matching

Grid = tuple[int, int]


def at_patches(values: Array, site: Site, grid: Grid) -> Float[Array, "image patch unit"]:
    """A tap's value at the patches of a grid, row by row, with heads and channels as one axis of units.

    Args:
        values: as the model gives it.
        site: of the tap.
        grid: of the patches, `model.config.grid`.

    Raises:
        InputError: a tap without places, such as `blocks.3.attn.probs`, `pooled` or `logits`.
    """
    found = on_grid(values, site, grid)
    return found.reshape(len(found), -1, found.shape[-1])


def own_grid(site: Site, grid: Grid) -> Grid | None:
    """The grid on which a tap's places are counted: its own, but that of the patches where these are larger.

    None for a tap without places.
    """
    if site.grid is None or not site.places:
        return None
    return min(site.grid[0], grid[0]), min(site.grid[1], grid[1])


def counted_tokens(values: Array, site: Site, tokens: str, grid: Grid) -> Float[Array, "image token unit"]:
    """A tap's value at the tokens that count, as in `Recipe.tokens`; places smaller than a patch are averaged over it.

    Args:
        values: as the model gives it.
        site: of the tap.
        tokens: see `Recipe.tokens`.
        grid: of the patches, `model.config.grid`.
    """
    own = own_grid(site, grid)
    if own is None or own == site.grid:
        return at_tokens(values, site, tokens)
    before = at_tokens(values, site, "all")[:, : site.prefix]
    found = jnp.concatenate([before, at_patches(values, site, own)], axis=1)
    return found[:, token_span(tokens, replace(site, grid=own))]


def numbers_of_tokens(tokens: str, site: Site, grid: Grid) -> range:
    """The tokens that count, as numbers on the tap's grid, see `own_grid`; those before it, or on none, are negative.

    None without places.

    Raises:
        InputError: tokens that the tap does not have.
    """
    if not site.places:
        return range(0)
    own = own_grid(site, grid)
    before = site.tokens if own is None else site.prefix
    span = token_span(tokens, replace(site, grid=own))
    start, stop, _ = span.indices(before + (0 if own is None else math.prod(own)))
    return range(start - before, stop - before)


def check_patches(tap: str, site: Site) -> None:
    """Raises an InputError if a tap's units are nowhere on the image."""
    if site.grid is None or not site.places:
        raise InputError(f"{tap} has no patches (its axes are {', '.join(site.axes)}); try mlp.hidden or attn.z")


def chosen_taps(patterns: Iterable[str] | None, model: Network) -> list[str]:
    """The taps meant, each once; `*` stands for every block, and by default it is all neurons.

    Raises:
        InputError: a tap that the model lacks, or that has no patches.
    """
    wanted, taps = [model.neurons] if patterns is None else patterns, model.taps()
    chosen = list(dict.fromkeys(tap for pattern in wanted for tap in matching(pattern, taps)))
    for tap in chosen:
        check_patches(tap, taps[tap])
    return chosen


def unevenness(values: Float[Array, "*n patch"], axis: int = -1) -> Float[Array, "*n"]:
    """The standard deviation over the patches divided by the mean; 0 for a map that is the same everywhere.

    NaN where the mean is not above 0: such a map fires nowhere.
    """
    values = jnp.asarray(values)
    mean = values.mean(axis=axis)
    return jnp.where(mean > 0, values.std(axis=axis) / mean, jnp.nan)


def above_half(values: Float[Array, "*n patch"], axis: int = -1) -> Float[Array, "*n"]:
    """The share of patches above half the highest; 0 where none is above 0."""
    return (values > values.max(axis=axis, keepdims=True) / 2).mean(axis=axis)
