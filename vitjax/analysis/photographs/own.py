"""Measures every unit on its own best image; each distinct image is run once per view."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Array, Float, Int

from vitjax.analysis.photographs.exemplars import Exemplars
from vitjax.analysis.study.passes import over
from vitjax.analysis.study.patches import at_patches
from vitjax.data.dataset import Dataset
from vitjax.models.core.network import Network

# What is measured of every unit on every image, from its values and what is known of the images: a number or several.
Measure = Callable[..., Float[Array, "image unit ..."]]
# How an image is changed before it is run: (images [image, h, w, 3], parameters [image, ...]) to images.
View = Callable[[Float[Array, "image h w 3"], Array], Float[Array, "image h w 3"]]


def own_places(found: Exemplars) -> dict[str, Int[np.ndarray, " unit"]]:
    """The place of each unit's best image, {tap: [unit]}; -1 for a unit without one."""
    return {tap: natural.place[:, 0] for tap, natural in found.taps.items()}


def on_own_images(
    model: Network,
    data: Dataset,
    own: Mapping[str, Int[np.ndarray, "unit ..."]],
    measure: Measure,
    view: View | None = None,
    parameters: np.ndarray | None = None,
    known: Callable[[Int[np.ndarray, " image"]], Sequence[np.ndarray]] = lambda places: (),
) -> dict[str, Float[np.ndarray, "view unit ..."]]:
    """Measures each unit on its own image, seen in several ways.

    All units of all taps are read in one forward pass over each distinct image and view, and of an image only the
    units that it belongs to are kept.

    Args:
        model: any.
        data: where the images are.
        own: {tap: place of each unit's image, or several for each}, -1 for none; see `own_places`.
        measure: of (the tap's value at the patches, *what is `known`); a function that is defined once, which is then
            compiled once.
        view: changes the images; likewise. Default: they are run as they are.
        parameters: [view, ...], one entry for each view.
        known: arrays of what is known of the images at some places, images first.

    Returns:
        {tap: [view, unit, ..., ...]}, with the axes of `own` and then those of `measure`; NaN where there is no image.
    """
    distinct = np.unique(np.concatenate([places.ravel() for places in own.values()]))
    distinct = distinct[distinct >= 0]
    parameters = np.zeros(1) if parameters is None else parameters
    run = over(model, data.batch, _read, taps=tuple(own), measure=measure, view=view)
    images = replace(data, images=data.images.take(distinct), shard=(0, 1), name="best images")
    found = {}
    for batch in images.batches():
        seen = batch.place >= 0
        row = np.full(len(data.images) + 1, -1)  # of each image in this batch; the last entry is for place -1
        row[distinct[batch.place[seen]]] = np.flatnonzero(seen)
        about = known(distinct[np.maximum(batch.place, 0)])
        views = [run(batch.images, np.tile(one, (data.batch, *[1] * np.ndim(one))), *about) for one in parameters]
        for tap, places in own.items():
            here = np.nonzero(row[places] >= 0)  # the units, and which of their images
            for i, measured in enumerate(views):
                values = np.asarray(measured[tap])
                if tap not in found:
                    found[tap] = np.full((len(parameters), *places.shape, *values.shape[2:]), np.nan, np.float32)
                found[tap][i, *here] = values[row[places[here]], here[0]]
    return found


def _read(model: Network, images: Array, parameters: Array, *known: Array, taps, measure, view) -> dict[str, Array]:
    values, sites = model(images if view is None else view(images, parameters), taps), model.taps()
    return {tap: measure(at_patches(values[tap], sites[tap], model.config.grid), *known) for tap in taps}
