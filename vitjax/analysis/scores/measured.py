"""Goes once over images for what is summed up of units: how often they are active, and on how alike images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Array, Float, Int

from vitjax.analysis.scores import density, monosemanticity
from vitjax.analysis.scores.density import Density
from vitjax.analysis.scores.encoders import Encoder
from vitjax.analysis.scores.monosemanticity import Sums, directions
from vitjax.analysis.scores.paired import Side, side_by_side
from vitjax.analysis.study.patches import counted_tokens, numbers_of_tokens
from vitjax.data.dataset import Dataset
from vitjax.models.core.network import Network


@dataclass(frozen=True, eq=False)
class Measured:
    """What the images of one host, or of several, say of the units of some taps.

    Attributes:
        density: {tap: Density}.
        sums: {encoder: {tap: Sums}}.
        places: of the images whose embeddings are kept, ascending.
        embeddings: {encoder: theirs, at length 1}.
    """

    density: Mapping[str, Density]
    sums: Mapping[str, Mapping[str, Sums]]
    places: Int[np.ndarray, " image"]
    embeddings: Mapping[str, Float[np.ndarray, "image channel"]]


def measure(
    model: Network,
    data: Dataset,
    encoders: Sequence[Encoder],
    taps: Sequence[str],
    tokens: str,
    kept: Int[np.ndarray, " image"],
) -> Measured:
    """Measures units on this host's part of the images, in one pass.

    Args:
        model: whose units.
        data: the images, as the model sees them.
        encoders: by whose eyes images are alike, of different names.
        taps: whose units, all of them.
        tokens: which tokens count, as in `Recipe.tokens`.
        kept: places of the images whose embeddings are kept, ascending.
    """
    sites, names = model.taps(), [encoder.name for encoder in encoders]
    counted = {tap: max(1, len(numbers_of_tokens(tokens, sites[tap], model.config.grid))) for tap in taps}
    sides = [Side(model, _read, {"taps": tuple(taps), "tokens": tokens}, data.config)]
    sides += [Side(encoder.model, encoder.function, {"tap": encoder.tap}) for encoder in encoders]
    often: dict[str, Density | None] = dict.fromkeys(taps)
    alike: dict[str, dict[str, Sums | None]] = {name: dict.fromkeys(taps) for name in names}
    places, rows = [], {name: [] for name in names}
    for place, (values, *embedded) in side_by_side(sides, data):
        if not len(place):
            continue
        keep = np.isin(place, kept)
        places.append(place[keep])
        for tap, (scores, active) in values.items():
            often[tap] = density.merge(often[tap], density.of(active, counted[tap]))
            for name, (embeddings,) in zip(names, embedded, strict=True):
                alike[name][tap] = monosemanticity.merge(alike[name][tap], monosemanticity.sums(scores, embeddings))
        for name, (embeddings,) in zip(names, embedded, strict=True):
            rows[name].append(directions(embeddings)[keep].astype(np.float32))
    return Measured(often, alike, np.concatenate(places), {name: np.concatenate(some) for name, some in rows.items()})


def merge(first: Measured, second: Measured) -> Measured:
    """What the images of both say."""
    order = np.argsort(places := np.concatenate([first.places, second.places]))
    both = lambda name: np.concatenate([first.embeddings[name], second.embeddings[name]])[order]
    return Measured(
        {tap: density.merge(one, second.density[tap]) for tap, one in first.density.items()},
        {
            name: {tap: monosemanticity.merge(one, second.sums[name][tap]) for tap, one in taps.items()}
            for name, taps in first.sums.items()
        },
        places[order],
        {name: both(name) for name in first.embeddings},
    )


def _read(model: Network, images: Array, *, taps: tuple[str, ...], tokens: str):
    values, sites, found = model(images, taps), model.taps(), {}
    for tap in taps:
        seen = counted_tokens(values[tap], sites[tap], tokens, model.config.grid)
        found[tap] = seen.mean(axis=1), density.per_image(seen, density.latent(tap))
    return found
