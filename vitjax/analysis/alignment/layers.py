"""Reads what two models are compared by: units on images or on a grid that both are laid on, features of layers."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from vitjax.analysis.scores.paired import Side
from vitjax.analysis.study.patches import check_patches, counted_tokens
from vitjax.data.dataset import Dataset
from vitjax.errors import InputError
from vitjax.models.core.network import Network
from vitjax.models.core.preprocess import Input
from vitjax.units.select import on_grid, token_span
from vitjax.units.units import matching

LARGEST = 2**30  # numbers of a table of all pairs: 8 GiB
IMAGES = "images"
PLACES = "places"
SIDES = ("model", "other", "shuffled")


def chosen(model: Network, patterns: Sequence[str] | None, default: str, tokens: str) -> list[str]:
    """The taps meant, each once, which have these tokens; errors as of `matching` and `token_span`."""
    sites = model.taps()
    taps = list(dict.fromkeys(tap for pattern in patterns or [default] for tap in matching(pattern, sites)))
    for tap in taps:
        if sites[tap].places:
            token_span(tokens, sites[tap])
    return taps


def check_size(ours: int, theirs: int, what: str) -> None:
    """Raises an InputError where a table of all pairs would not fit in memory."""
    if ours * theirs > LARGEST:
        raise InputError(
            f"{ours} times {theirs} {what} are {8 * ours * theirs / 2**30:.0f} GiB of sums: name fewer taps by --taps"
            " and --other-taps"
        )


def shared_grid(model: Network, other: Network) -> tuple[int, int]:
    """The coarser of two models' grids of patches, in each direction."""
    return tuple(map(min, model.config.grid, other.config.grid))


def sides(
    models: Sequence[Network],
    taps: Sequence[Sequence[str]],
    data: Dataset,
    tokens: str,
    grid: tuple[int, int] | None = None,
    shuffle: int | None = None,
) -> list[Side]:
    """What `side_by_side` runs: the model, the other one, and, with a seed to `shuffle` by, that on shuffled images.

    Args:
        models: two.
        taps: of each.
        data: the images.
        tokens: that are averaged over, as in `Recipe.tokens`.
        grid: read all places of this grid in their place. Both models then see the same part of an image.
        shuffle: seed of the order of the images that stand for others; None for none.
    """
    inputs, read = [Input.of(model) for model in models], _on_images
    options: dict[str, object] = {"tokens": tokens}
    if grid is not None:
        first, read, options = inputs[0].preprocess, _on_places, {"grid": grid}
        same = {"crop": first.crop, "mode": first.mode, "cut": first.cut, "size": None, "centre": first.centre}
        inputs[1] = replace(inputs[1], preprocess=replace(inputs[1].preprocess, **same))
        for model, some in zip(models, taps, strict=True):
            for tap in some:
                check_patches(tap, model.taps()[tap])
    found = [
        Side(model, read, options | {"taps": tuple(some)}, input)
        for model, some, input in zip(models, taps, inputs, strict=True)
    ]
    if shuffle is not None:
        found.append(replace(found[1], order=np.random.default_rng(shuffle).permutation(len(data.images))))
    return found


def width(model: Network, tap: str) -> int:
    """How many units a tap has."""
    return math.prod(model.taps()[tap].units)


def _on_images(model: Network, images: Array, *, taps: tuple[str, ...], tokens: str) -> dict[str, Array]:
    """[image, unit] of each tap: the mean over the tokens that count."""
    values, sites = model(images, taps), model.taps()
    return {tap: counted_tokens(values[tap], sites[tap], tokens, model.config.grid).mean(axis=1) for tap in taps}


def _on_places(
    model: Network, images: Array, *, taps: tuple[str, ...], grid: tuple[int, int]
) -> Mapping[str, Float[Array, "image place unit"]]:
    values, sites = model(images, taps), model.taps()
    placed = {tap: on_grid(values[tap], sites[tap], grid) for tap in taps}
    return {tap: jnp.reshape(one, (len(one), -1, one.shape[-1])) for tap, one in placed.items()}
