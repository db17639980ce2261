"""Measures whether units are active on the objects of images or on what surrounds them.

Ghiasi et al. 2022 (arXiv 2212.06727), figure 7a: a unit of layer 6 of ViT-B/16 is active on the grass and
snow around a wolf, not on the wolf. Boxes of the objects let all units be asked.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pyarrow as pa
from jaxtyping import Array, Float, Int, UInt8
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from vitjax.analysis.photographs.exemplars import exemplars
from vitjax.analysis.photographs.own import on_own_images
from vitjax.analysis.study.checks import analysis
from vitjax.analysis.study.findings import Findings, settings
from vitjax.analysis.study.means import ratio_of_means
from vitjax.analysis.study.style import COLORS, panels, style
from vitjax.data.annotations.boxes import Boxes, mask
from vitjax.data.annotations.boxes import boxes as boxes_of
from vitjax.data.dataset import Dataset
from vitjax.errors import InputError
from vitjax.models.core.network import Network
from vitjax.units.select import shares
from vitjax.units.units import neurons

MEASURES = ("outside", "area", "usual", "iou", "chance")


@dataclass(frozen=True)
class Overlap:
    """Where the units of one tap are active on their best images; NaN for a unit that is active nowhere.

    Attributes:
        place: of the images.
        outside: the share of the activation that is outside the boxes.
        area: the share of the image that is outside the boxes: what `outside` would be for an even map.
        usual: what `outside` would be for this map on another image: units that like corners are outside most boxes.
        iou: intersection over union of the boxes and the patches above half the peak.
        chance: the same for as many patches anywhere.
    """

    place: Int[np.ndarray, "unit k"]
    outside: Float[np.ndarray, "unit k"]
    area: Float[np.ndarray, "unit k"]
    usual: Float[np.ndarray, "unit k"]
    iou: Float[np.ndarray, "unit k"]
    chance: Float[np.ndarray, "unit k"]


@dataclass(frozen=True, eq=False)
class Inside:
    """A change of images (see `vitjax.data.pipeline`): white inside the boxes, black outside."""

    boxes: Mapping[str, Boxes]

    def __call__(self, name: str, image: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
        """The mask, at the image's own size, so that it is then resized and cropped as the image is.

        Raises:
            InputError: the image's boxes do not fit it.
        """
        try:
            inside = mask(self.boxes[name], *image.shape[:2])
        except InputError as error:
            raise InputError(f"{name}: {error}") from None
        return np.repeat(np.uint8(255 * inside)[..., None], 3, axis=2)


def overlaps(
    model: Network, data: Dataset, found: Mapping[str, Boxes], taps: Sequence[str], k: int = 3
) -> dict[str, Overlap]:
    """Compares the maps of all units of `taps` on their `k` best images with the boxes of those images.

    Only images of `data` with boxes in `found` take part; places count among those, see `boxed`.
    """
    some = boxed(data, found)
    best = exemplars(model, some, taps, k=k)
    places = {tap: best.taps[tap].place for tap in taps}
    covered = coverage(some, found, np.unique(np.concatenate([place.ravel() for place in places.values()])))
    typical = np.nanmean(covered, axis=0)
    known = lambda places: (covered[places], np.broadcast_to(typical, (len(places), len(typical))))
    measured = on_own_images(model, some, places, agreement, known=known)
    return {tap: Overlap(place, *np.moveaxis(measured[tap][0], -1, 0)) for tap, place in places.items()}


def agreement(
    values: Float[Array, "image patch unit"],
    covered: Float[Array, "image patch"],
    typical: Float[Array, "*image patch"],
) -> Float[Array, "image unit 5"]:
    """Measures what `Overlap` says of each unit on each image: outside, area, usual, iou, chance.

    Args:
        values: of the units; what is below 0 counts as 0.
        covered: how much of each patch is inside the boxes.
        typical: the same, averaged over images.
    """
    map, inside = jax.nn.relu(values), covered[..., None] > 0.5
    active = jnp.where(map.any(axis=1), 1, jnp.nan)
    high = map > map.max(axis=1, keepdims=True) / 2
    count, objects, both = (patches.sum(axis=1) for patches in (high, inside, high & inside))
    by_chance = count * objects / map.shape[1]
    numbers = (
        (map * (1 - covered[..., None])).sum(axis=1) / map.sum(axis=1),
        active * (1 - covered.mean(axis=1)[:, None]),
        (map * (1 - typical[..., None])).sum(axis=1) / map.sum(axis=1),
        active * both / (count + objects - both),
        active * by_chance / (count + objects - by_chance),
    )
    return jnp.stack(numbers, axis=-1)


def boxed(data: Dataset, found: Mapping[str, Boxes]) -> Dataset:
    """The part of the data that has boxes."""
    return replace(data, images=data.images.take([i for i, name in enumerate(data.images.names) if name in found]))


def coverage(data: Dataset, found: Mapping[str, Boxes], places: Iterable[int]) -> Float[np.ndarray, "image patch"]:
    """How much of each patch is inside the boxes, for the images at `places`; NaN for the others."""
    down, across = map(shares, data.config.image_size, data.config.grid)
    covered = np.full((len(data.images), data.config.patches), np.nan, np.float32)
    places = np.asarray(list(places))
    places = places[places >= 0]
    for batch in replace(data, images=data.images.take(places), shard=(0, 1)).batches(Inside(found)):
        seen = batch.place >= 0
        patches = down @ (batch.images[seen, ..., 0] / np.float32(255)) @ across.T
        covered[places[batch.place[seen]]] = patches.reshape(-1, data.config.patches)
    return covered


@analysis
def run(
    model: Network,
    data: Dataset,
    *,
    blocks: Iterable[int] | None = None,
    k: int = 3,
    boxes: Path | None = None,
    all_objects: bool = False,
) -> Findings:
    """Measures how well maps of units agree with the objects' boxes, block after block.

    Args:
        model: any.
        data: the images to find the best among; those without boxes are left out.
        blocks: whose neurons, see `vitjax.units.units.neurons`; default all.
        k: best images of each unit.
        boxes: the list of boxes, see `vitjax.data.annotations.boxes.boxes`; None looks for one among the images.
        all_objects: count objects of another class than the image's too, where that is known.

    Returns:
        A row for each block, means over units and their images, see `Overlap`; `iou_of_chance` is the mean of `iou`
        over that of `chance` among the `active` units, with its standard error over these units, paired (units that
        share images make it somewhat too small). The table `objects-units` has all units.

    Raises:
        InputError: no boxes to be found, or no such block.
    """
    found, taps = boxes_of(data.images, boxes, all_objects=all_objects), neurons(model, blocks)
    measured = overlaps(model, data, found, list(taps), k)
    rows = [{"block": taps[tap], "units": len(one.place), **_row(one)} for tap, one in measured.items()]
    summary = "overlap of maps with boxes, IoU over that by chance: " + " to ".join(
        f"{row['iou_of_chance']:.2f} ± {row['iou_of_chance_error']:.2f} (block {row['block']})"
        for row in (rows[0], rows[-1])
    )
    about = described(model, data, found, boxes) | {"blocks": [row["block"] for row in rows], "k": k}
    return Findings("objects", rows, about, {"": _by_block(rows)}, summary, {"objects-units": unit_table(measured)})


def _row(one: Overlap) -> dict[str, float]:
    measures = {name: float(np.nanmean(getattr(one, name))) for name in MEASURES}
    iou, chance = (value[~np.isnan(value).any(axis=1)].mean(axis=1) for value in (one.iou, one.chance))
    ratio, error = ratio_of_means(iou, chance)
    return measures | {"active": len(iou), "iou_of_chance": float(ratio), "iou_of_chance_error": float(error)}


def described(model: Network, data: Dataset, found: Mapping[str, Boxes], boxes: Path | None) -> dict[str, object]:
    """What a record says about model, data and boxes."""
    return settings(model, data, boxes=str(boxes or "among the images"), images_with_boxes=len(found))


def unit_table(measured: Mapping[str, Overlap]) -> pa.Table:
    """A row for each unit, means over its images; null where it is active on none of them, or has too few."""
    rows = []
    for tap, one in measured.items():
        columns = {name: getattr(one, name).mean(axis=1) for name in MEASURES}
        rows += [
            {"unit": f"{tap}:{i}"} | {name: None if np.isnan(v[i]) else float(v[i]) for name, v in columns.items()}
            for i in range(len(one.place))
        ]
    return pa.Table.from_pylist(rows)


def compare(found: Mapping[str, Findings]) -> Figure:
    """Draws how well maps of several models agree with the boxes from their first to their last block.

    Args:
        found: {label: findings of `run`}.
    """
    with style():
        figure, (panel,) = panels(size=(4.6, 3.0))
        for label, findings in found.items():
            share, error = ([row[key] for row in findings.rows] for key in ("iou_of_chance", "iou_of_chance_error"))
            depth = np.linspace(0, 1, len(share))
            panel.errorbar(depth, share, error, marker="o", capsize=2, label=label)
        panel.axhline(1, color=COLORS[-1], linestyle=":", linewidth=1.2, label="as many patches anywhere")
        panel.set(xlabel="depth, from the first block to the last", ylabel="IoU with the boxes / by chance")
        figure.legend(loc="outside upper center", ncols=2)
    return figure


def _by_block(rows: Sequence[Mapping]) -> Figure:
    x = [row["block"] for row in rows]
    best = {"marker": "o", "label": "best images of the units"}
    chance = lambda label, line=":": {"color": COLORS[-1], "linestyle": line, "linewidth": 1.2, "label": label}
    left = {"iou": best, "chance": chance("as many patches anywhere")}
    right = {"outside": best, "area": chance("an even map"), "usual": chance("the maps on other images", "--")}
    with style():
        figure, axes = panels(1, 2)
        for panel, lines in zip(axes, (left, right), strict=True):
            for key, look in lines.items():
                panel.plot(x, [row[key] for row in rows], **look)
            panel.set(xlabel="block", ylim=(0, None))
            panel.xaxis.set_major_locator(MaxNLocator(integer=True))
            panel.legend(loc="lower left")
        axes[0].set(ylabel="intersection over union", title="Maps on the objects")
        axes[1].set(ylabel="share outside the boxes", title="Maps around the objects")
    return figure
