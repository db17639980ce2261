"""The analysis `background`: finds the units that are active on what surrounds objects, and shows their maps.

Ghiasi et al. 2022 (arXiv 2212.06727), figure 7a, shows one such unit, picked by hand: grass and snow, not the wolf.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from matplotlib.figure import Figure
from PIL import Image

from vitjax.analysis.study.checks import analysis
from vitjax.analysis.study.findings import Findings
from vitjax.analysis.study.gallery import gallery
from vitjax.analysis.study.style import MAP
from vitjax.analysis.units.maps import activation_maps, overlay
from vitjax.analysis.units.objects import Inside, Overlap, boxed, described, overlaps, unit_table
from vitjax.data.annotations.boxes import Boxes
from vitjax.data.annotations.boxes import boxes as boxes_of
from vitjax.data.dataset import Dataset
from vitjax.data.pipeline import pixels
from vitjax.data.prepare import decode, prepare
from vitjax.errors import InputError
from vitjax.models.core.network import Network
from vitjax.units.units import caption, neurons

FRAME = (255, 90, 0)  # the boxes' colour


@analysis
def run(
    model: Network,
    data: Dataset,
    *,
    block: int | None = None,
    count: int = 6,
    k: int = 3,
    boxes: Path | None = None,
    all_objects: bool = False,
) -> Findings:
    """Finds the neurons of a block that are active on what surrounds objects.

    Units are ordered by how much more of their activation is outside the boxes than of the image is (boxes may be
    small) and than it would be for the same maps on other images (some units like corners).

    Args:
        model: any.
        data: the images to find the best among; those without boxes are left out.
        block: whose neurons, see `vitjax.units.units.neurons`; default the middle one.
        count: units shown.
        k: best images of each unit.
        boxes, all_objects: as of `objects.run`.

    Returns:
        A row for each unit shown, means over its images, see `objects.Overlap`; and its images with boxes and maps.

    Raises:
        InputError: no boxes to be found, no such block, or a data set with fewer than `k` images.
    """
    every = list(neurons(model))
    (tap,) = neurons(model, [len(every) // 2 if block is None else block])
    found = boxes_of(data.images, boxes, all_objects=all_objects)
    some = boxed(data, found)
    if len(some.images) < k:
        raise InputError(f"{len(some.images)} images with boxes are fewer than the k={k} best of each unit")
    measured = overlaps(model, data, found, [tap], k)[tap]
    known = [row for row in unit_table({tap: measured}).to_pylist() if row["outside"] is not None]
    if not known:
        raise InputError(f"no unit of {tap} is active on all of its {k} best images")
    rows = sorted(known, key=lambda row: max(row["area"], row["usual"]) - row["outside"])[:count]
    more = sum(row["outside"] > max(row["area"], row["usual"]) for row in known) / len(known)
    summary = (
        f"{tap}: {more:.0%} of the units are more on the background than chance would have it; most of all"
        f" {rows[0]['unit']}, {rows[0]['outside']:.0%} of its activation on {rows[0]['area']:.0%} of the image"
    )
    settings = described(model, data, found, boxes) | {"tap": tap, "k": k, "count": count}
    return Findings("background", rows, settings, {"": _gallery(model, rows, measured, some, found)}, summary)


def framed(image: UInt8[np.ndarray, "h w 3"], inside: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
    """An image with lines around its boxes, which are white in `inside`."""
    within = np.pad(inside[..., 0] > 127, 1)
    inner = within
    for _ in range(max(1, round(len(image) / 80))):
        inner = np.logical_and.reduce([np.roll(inner, by, axis) for by in (-1, 0, 1) for axis in (0, 1)])
    return np.where((within & ~inner)[1:-1, 1:-1, None], np.uint8(FRAME), image)


def _gallery(
    model: Network, rows: Sequence[Mapping], measured: Overlap, data: Dataset, found: Mapping[str, Boxes]
) -> Figure:
    units = [int(row["unit"].rpartition(":")[2]) for row in rows]
    places = measured.place[units]
    images = pixels(data.images, places.ravel(), data.config)
    maps = np.maximum(activation_maps(model, images, [row["unit"] for row in rows]), 0)
    groups = [
        [
            [framed(images[i], _inside(data, place, found)), overlay(images[i], maps[i, number])]
            for i, place in enumerate(some, number * len(some))
        ]
        for number, some in enumerate(places)
    ]
    captions = [
        [f"{outside:.0%} outside the box ({area:.0%} of the image)" for outside, area in zip(*shares, strict=True)]
        for shares in zip(measured.outside[units], measured.area[units], strict=True)
    ]
    labels = [caption(row["unit"]).replace(":", "\n") for row in rows]
    scales = {MAP: "each map from its lowest patch to its highest"}
    return gallery(groups, labels=labels, captions=captions, scales=scales)


def _inside(data: Dataset, place: int, found: Mapping[str, Boxes]) -> np.ndarray:
    image = np.asarray(decode(data.images.read(int(place))))
    return prepare(Image.fromarray(Inside(found)(data.images.names[place], image)), data.config)
