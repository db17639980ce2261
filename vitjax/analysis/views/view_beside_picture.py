"""The analysis `view-cards`: a unit's view beside its optimised picture and its best images, by channel.

Neither Nguyen et al. 2022 nor Ghiasi et al. 2022 has this. A view says what a unit sees by the filter of its channel in
the patch embedding; a picture and exemplars say it by the unit's own activation. Side by side they agree, or do not.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from vitjax.analysis.photographs.exemplars import Exemplars, exemplars
from vitjax.analysis.report.painted import painted
from vitjax.analysis.study.checks import analysis
from vitjax.analysis.study.findings import Findings, settings
from vitjax.analysis.study.gallery import gallery
from vitjax.analysis.units.maps import activation_maps, overlay
from vitjax.analysis.views.filters import filters
from vitjax.analysis.views.view_figures import named_units, view_pictures
from vitjax.analysis.views.views import shown
from vitjax.data.dataset import Dataset
from vitjax.data.pipeline import pixels
from vitjax.models.core.network import Network
from vitjax.units.units import Unit, caption


@analysis
def run(
    model: Network,
    data: Dataset,
    *,
    units: str | Unit | Iterable[str | Unit] | None = None,
    pictures: Path | None = None,
    recipe: str = "default",
    k: int = 3,
    seed: int = 0,
    found: Exemplars | None = None,
) -> Findings:
    """Draws a figure for each channel, with a row for each of its units: its picture, its filter, and its best images.

    Each of the best images stands with the view of the unit on it (all patches together) and with the unit's
    activation at each patch over it.

    Args:
        model: any.
        data: the images to find the best among.
        units: unit sets of the residual stream; default the most even filter's channel at four depths.
        pictures: a folder made by `vitjax visualize`; without it the units are painted now.
        recipe, seed: how they are painted.
        k: best images of each unit.
        found: exemplars that are known already.

    Returns:
        A row for each unit and image, with the unit's score (mean over the patches); a figure for each channel.

    Raises:
        InputError: units that are unknown, not of the residual stream, or not in the folder.
    """
    wanted = named_units(model, units, 1)
    painting = painted(model, [str(unit) for unit in wanted], folder=pictures, recipe=recipe, seed=seed)
    found = found or exemplars(model, data, [unit.tap for unit in wanted], k=k)
    tiles, rows, figures = np.asarray(shown(filters(model))), [], {}
    for channel in dict.fromkeys(unit.index for unit in wanted):
        own, cards, captions = [unit for unit in wanted if unit.index == channel], [], []
        for unit in own:
            natural = found.taps[unit.tap]
            places = [place for place in natural.place[channel][:k] if place >= 0]
            scores = natural.score[channel][: len(places)].tolist()
            photos = pixels(data.images, places, model.config)
            seen, _ = view_pictures(model, photos, [unit])
            over = map(overlay, photos, activation_maps(model, photos, unit)[:, 0])
            groups = [list(group) for group in zip(photos, seen[:, 0, 0], over, strict=True)]
            cards.append([[painting[unit]], [tiles[channel]], *groups])
            captions.append(["", "", *(f"{score:.3g}" for score in scores)])
            rows += [
                {"unit": str(unit), "rank": rank, "image": data.images.names[place], "score": score}
                for rank, (place, score) in enumerate(zip(places, scores, strict=True))
            ]
        titles = ["optimised", f"filter {channel[0]}", "best images, the view of each, activation", *[""] * (k - 1)]
        labels = [caption(unit).rpartition(":")[0] for unit in own]
        figures[f"channel-{channel[0]}"] = gallery(cards, labels=labels, titles=titles, captions=captions)
    made = {"folder": str(pictures)} if pictures else {"recipe": recipe, "seed": seed}
    about = settings(model, data, units=[str(unit) for unit in wanted], pictures=made, k=k)
    return Findings("view-cards", rows, about, figures, f"{len(wanted)} units on {len(figures)} cards")
