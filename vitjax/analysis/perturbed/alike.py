"""Compares changed copies of images with the images: accuracy, and the likeness of embeddings at every layer.

Nothing here asks for more of a model than `model(images, reads)`, its config and its taps, so that a convolutional
network, whose taps have a map in place of tokens, can stand beside a transformer.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PyTree

from vitjax.analysis.ablations.accuracy import Outcome, judged
from vitjax.analysis.study.findings import Value
from vitjax.analysis.study.means import over_images
from vitjax.analysis.study.passes import Pace, over
from vitjax.data.dataset import Dataset
from vitjax.errors import InputError
from vitjax.models.core.network import Network
from vitjax.models.core.tap_site import Site
from vitjax.models.registry import random
from vitjax.units.units import matching

GIVEN, RANDOM = "given", "random"
CLASS, MEAN = "class token", "mean of patches"
EMBEDDINGS = (("token", "channel"), ("row", "column", "channel"))  # axes of a vector for each token or place


class Copy(NamedTuple):
    """What a model made of a changed copy of each image.

    Attributes:
        rank, loss: [image], as of `accuracy.Outcome`.
        cosine: [image, tap, similarity], with the embeddings of the image as it is; NaN where there is none.
        chance: [image, tap, similarity], the same of each patch with *other* patches of its group, a patch that is
            like its own place no more than like any other of the image; NaN but of groups of two or more.
    """

    rank: Int[Array, " image"]
    loss: Float[Array, " image"]
    cosine: Float[Array, "image tap similarity"]
    chance: Float[Array, "image tap similarity"]


def compare(
    model: Network,
    whole: Mapping[str, Array],
    part: Mapping[str, Array],
    truth: Int[Array, " image"],
    taps: Sequence[str],
    groups: Sequence[Bool[Array, "image place"]] = (),
    source: Int[Array, "image place"] | None = None,
    gone: Bool[Array, "image place"] | None = None,
) -> Copy:
    """Compares what was read of the copies with what was read of the images as they are.

    Args:
        model: whose the values are.
        whole, part: {tap: value} of the images and of their copies, "logits" among them.
        truth: the classes.
        taps: what is compared.
        groups: sets of places, over each of which the cosine of patch embeddings is averaged.
        source: which place of the image each place of the copy shows; default its own.
        gone: places of the copy whose tokens were taken away: its mean is that of the others.

    Returns:
        Similarities in the order class token, mean of patches, then the groups.
    """
    sites = model.taps()
    alike = [_alike(whole[tap], part[tap], sites[tap], groups, source, gone) for tap in taps]
    return Copy(*judged(part["logits"], truth), *(jnp.stack(values, axis=1) for values in zip(*alike, strict=True)))


def directions(
    values: Mapping[str, Array], taps: Sequence[str], model: Network
) -> list[Float[Array, "image 2 channel"]]:
    """The class token and the mean of the patches as unit vectors at each tap; NaN for a class token where none is."""
    sites = model.taps()
    return [_overall(values[tap], sites[tap]) for tap in taps]


def _overall(values: Array, site: Site, gone: Array | None = None) -> Array:
    tokens, patches = _split(values, site)
    first = tokens[:, 0] if site.class_token else jnp.full_like(patches[:, 0], jnp.nan)
    mean = patches.mean(axis=1) if gone is None else jnp.where(gone[..., None], 0, patches).sum(axis=1)  # up to scale
    return _unit(jnp.stack([first, mean], axis=1))


def _alike(
    whole: Array, part: Array, site: Site, groups: Sequence[Array], source: Array | None, gone: Array | None
) -> tuple[Array, Array]:
    """Cosine and chance of one tap, [image, similarity] each."""
    overall = (_overall(whole, site) * _overall(part, site, gone)).sum(axis=-1)
    before, after = (_unit(_split(values, site)[1]) for values in (whole, part))
    if source is not None and source.shape[1] == before.shape[1]:
        before = jnp.take_along_axis(before, source[..., None], axis=1)
    cosine = (before * after).sum(axis=-1)
    # a map of another size than the grid has no groups; nor has an image where the group is empty
    fits = [group if group.shape == cosine.shape else jnp.zeros_like(cosine, bool) for group in groups]
    own = [jnp.mean(cosine, axis=1, where=group)[:, None] for group in fits]
    others = [_others(before, after, cosine, group)[:, None] for group in fits]
    return tuple(
        jnp.concatenate(some, axis=1) for some in ([overall, *own], [jnp.full_like(overall, jnp.nan), *others])
    )


def _others(before: Array, after: Array, cosine: Array, group: Array) -> Array:
    """The mean cosine of unit vectors over all pairs of *different* places of a group; NaN where there is none."""
    first, second = (jnp.where(group[..., None], some, 0).sum(axis=1) for some in (before, after))
    count = group.sum(axis=1)
    pairs = (first * second).sum(axis=-1) - jnp.where(group, cosine, 0).sum(axis=1)
    return jnp.where(count > 1, pairs / jnp.maximum(count * (count - 1), 1), jnp.nan)


def _split(values: Array, site: Site) -> tuple[Array, Array]:
    """All tokens, and the patch tokens; for a map, [image, h, w, channel], all its places both times."""
    values = values.astype(jnp.float32)
    tokens = values.reshape(len(values), -1, values.shape[-1])
    return tokens, tokens[:, site.prefix :]


def _unit(vectors: Array) -> Array:
    return vectors / jnp.maximum(jnp.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


@dataclass(frozen=True)
class Measured:
    """Copies of all readable images under several settings.

    Attributes:
        places: of the images in the data set.
        outcome: [image, setting], how the head judged them.
        cosine, chance: [image, setting, tap, similarity], as of `Copy`.
        between: [tap, 2], the mean cosine between *different* images as they are, of class tokens and of means.
        about: what else the function gave, images first.
    """

    places: Int[np.ndarray, " image"]
    outcome: Outcome
    cosine: Float[np.ndarray, "image setting tap similarity"]
    chance: Float[np.ndarray, "image setting tap similarity"]
    between: Float[np.ndarray, "tap 2"]
    about: PyTree[np.ndarray]


def measure(
    model: Network,
    data: Dataset,
    taps: Sequence[str],
    function: Callable,
    extra: Callable[[Int[np.ndarray, " image"]], Sequence[np.ndarray]] = lambda places: (),
    **options,
) -> Measured:
    """Runs `function` on all readable images, one pass over the data.

    Args:
        model: with a head.
        data: images whose classes are known.
        taps: what is compared.
        function: (model, images, truth, *extra, taps=…, **options), as `passes.over` takes it, gives (`Copy` with an
            axis of settings after that of images, `directions` of the images as they are, anything else).
        extra: further arrays for the images at these places (-1 for none).
        options: of `function`.
    """
    run, pace, parts, sums = over(model, data.batch, function, taps=tuple(taps), **options), Pace(), [], None
    labels = data.labels_for(model)
    for batch in data.batches():
        there = batch.place >= 0
        copy, units, about = run(batch.images, np.where(there, labels[batch.place], 0), *extra(batch.place))
        pace(copy)
        lines = [_total(some, there) for some in units]
        sums = lines if sums is None else [old + new for old, new in zip(sums, lines, strict=True)]
        parts.append((batch.place, copy, about))
    places = np.concatenate([place for place, *_ in parts])
    kept = places >= 0
    join = lambda *some: np.concatenate([np.asarray(one) for one in some])[kept]
    copy, about = jax.tree.map(join, *(part[1:] for part in parts))
    count = int(kept.sum())
    squares = np.array([np.square(np.asarray(line)).sum(axis=-1) for line in sums])
    between = (squares - count) / (count * (count - 1)) if count > 1 else np.full_like(squares, np.nan)
    return Measured(places[kept], Outcome(copy.rank, copy.loss), copy.cosine, copy.chance, between, about)


@jax.jit
def _total(units: Array, there: Array) -> Array:
    return jnp.where(there[:, None, None], units, 0).sum(axis=0)


def layers(model: Network, taps: Sequence[str] | None = None) -> list[str]:
    """The taps that are compared, `*` for every block; by default those of `model.layers`.

    Raises:
        InputError: a tap that the model lacks, or one without a vector for each token or place.
    """
    there = model.taps()
    chosen = list(dict.fromkeys(tap for pattern in taps or [model.layers] for tap in matching(pattern, there)))
    for tap in chosen:
        if (axes := there[tap].axes) not in EMBEDDINGS:
            site = model.layers.rpartition(".")[2]
            raise InputError(f"{tap} has no vector for each token (its axes are {', '.join(axes)}); try {site}")
    return chosen


def weights(model: Network, control: bool, seed: int) -> dict[str, Network]:
    """The model, and as a control one of the same config with random weights."""
    return {GIVEN: model} | ({RANDOM: random(model.config, seed)} if control else {})


def table(
    place: Mapping[str, Value], measured: Measured, at: int, taps: Sequence[str], similarities: Sequence[str]
) -> list[dict[str, Value]]:
    """Rows of one setting, number `at`: a row for each tap and similarity, after the columns of `place`.

    `images` is how many have such a similarity, `cosine` the mean over them with its standard error; `between` that of
    different images, and `chance` that of each patch with others of its group, where there is one. `above_chance` is
    the mean difference, image by image, with its standard error.
    """
    cosine, chance = measured.cosine[:, at], measured.chance[:, at]
    own, others, above = (over_images(values) for values in (cosine, chance, cosine - chance))
    number = lambda value: float(value) if np.isfinite(value) else None
    return [
        {
            **place,
            "layer": layer + 1,
            "tap": tap,
            "similarity": name,
            "images": int(own.count[layer, column]),
            "cosine": number(own.mean[layer, column]),
            "cosine_error": number(own.error[layer, column]),
            "between": number(measured.between[layer, column]) if column < 2 else None,
            "chance": number(others.mean[layer, column]),
            "above_chance": number(above.mean[layer, column]),
            "above_chance_error": number(above.error[layer, column]),
        }
        for layer, tap in enumerate(taps)
        for column, name in enumerate(similarities)
    ]
