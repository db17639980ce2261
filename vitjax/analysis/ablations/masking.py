"""Measures the accuracy on the objects of images alone, and on all the rest of the images.

Ghiasi et al. 2022 (arXiv 2212.06727), table 2: what lies outside the boxes is made black, or what lies inside, before
the image is resized; the accuracy that is left is given as a share of that on the whole images, "normalised". Beside
ViTs the paper has ResNet-50 and -152, MobileNetV2 and DenseNet-121 with torchvision's weights of its time, here
`vitjax.load("resnet50-0676ba61.pth")` and its like (IMAGENET1K_V1).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

import numpy as np
from jaxtyping import UInt8
from matplotlib.figure import Figure

from vitjax.analysis.ablations.accuracy import Outcome, evaluate, plain
from vitjax.analysis.ablations.relative import relative
from vitjax.analysis.study.checks import analysis
from vitjax.analysis.study.findings import Findings, Value, settings
from vitjax.analysis.study.style import bare, panels, style
from vitjax.data.annotations.boxes import Boxes, mask
from vitjax.data.annotations.boxes import boxes as boxes_of
from vitjax.data.dataset import Dataset
from vitjax.data.pipeline import Change, changed
from vitjax.data.pixels import shown
from vitjax.data.prepare import decode, prepare
from vitjax.errors import InputError
from vitjax.models.core.network import Network

_NAMED = 50  # images without boxes that are named one by one; all are counted


@dataclass(frozen=True, eq=False)
class Keep:
    """A change of images (see `vitjax.data.pipeline`) that makes all black but one side of the boxes' edges.

    Attributes:
        boxes: {image name: its boxes}, of all images.
        inside: whether the inside of the boxes is kept, or the outside of all of them.
    """

    boxes: Mapping[str, Boxes]
    inside: bool

    def __call__(self, name: str, pixels: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
        """The image, masked at its own resolution; InputError where its boxes do not fit it."""
        try:
            inside = mask(self.boxes[name], *pixels.shape[:2])
        except InputError as error:
            raise InputError(f"{name}: {error}") from None
        return pixels * (inside == self.inside)[..., None]


def changes(boxes: Mapping[str, Boxes]) -> dict[str, Change | None]:
    """The three conditions: {name: what is done to every image}."""
    return {"full": None, "foreground": Keep(boxes, True), "background": Keep(boxes, False)}


@analysis
def run(model: Network, data: Dataset, *, boxes: Path | None = None, all_objects: bool = False) -> Findings:
    """Measures accuracy on whole images, on their objects alone, and on all but their objects.

    Only images with boxes take part, the same in all three; the others are counted and named in the settings.

    Args:
        model: with a head.
        data: images whose classes are known.
        boxes: the list of boxes, see `vitjax.data.annotations.boxes.boxes`; None looks for one among the images.
        all_objects: count objects of another class than the image's as foreground too, where that is known.

    Returns:
        A row per condition: top-1, top-5 and loss, and the first two as shares of those on whole images, all with
        standard errors over the images (None where no whole image is right).

    Raises:
        InputError: no boxes or classes to be found, or a box that does not fit its image.
    """
    found = boxes_of(data.images, boxes, all_objects=all_objects)
    names = data.images.names
    places = [place for place, name in enumerate(names) if name in found]
    without = [name for name in names if name not in found]
    chosen, truth = replace(data, images=data.images.take(places)), data.labels_for(model)[places]
    judged = {}
    for condition, change in reversed(changes(found).items()):  # masks first: a box that does not fit shows at once
        judged |= evaluate(model, chosen.named(condition).batches(change), truth, {condition: plain})
    rows = [_row(condition, judged[condition], judged["full"]) for condition in changes(found)]
    options = {
        "boxes": str(boxes or "among the images"),
        "all_objects": all_objects,
        "without_boxes": len(without),
        "without_boxes_named": without[:_NAMED],
    }
    left = ", ".join(f"{row['condition']} {_share(row['normalised_top5'])}" for row in rows[1:])
    summary = f"{rows[0]['images']} images with boxes; of the top-5 accuracy on whole images is left: {left}"
    findings = Findings("masking", rows, settings(model, data, **options), summary=summary)
    readable = [place for place, name in enumerate(chosen.images.names) if name not in data.unreadable]
    shown = replace(chosen, images=chosen.images.take(readable).some(3))
    label = PurePath(model.card.source).name if model.card else "model"
    figures = {"": compare({label: findings}), "examples": _strip(shown, found)}
    return replace(findings, figures=figures)


def compare(found: Mapping[str, Findings]) -> Figure:
    """Draws what several models keep of their top-5 accuracy: {label: findings of `run`}."""
    with style():
        figure, (axes,) = panels(size=(3.6, 2.6))
        width = 0.8 / len(found)
        for number, (label, findings) in enumerate(found.items()):
            masked = findings.rows[1:]
            heights, errors = (
                [np.nan if row[key] is None else row[key] for row in masked]
                for key in ("normalised_top5", "normalised_top5_error")
            )
            at = np.arange(len(masked)) + (number - (len(found) - 1) / 2) * width
            bars = axes.bar(at, heights, 0.9 * width, yerr=errors, capsize=2, label=label)
            axes.bar_label(bars, [_share(row["normalised_top5"]) for row in masked], padding=2, fontsize=8)
        axes.set_ylabel("top-5 / top-5 on whole images")
        axes.margins(y=0.15)
        axes.set_xticks(range(len(masked)), [f"{row['condition']} only" for row in masked])
        axes.grid(False, axis="x")
        figure.legend(loc="outside upper center")
    return figure


def _row(condition: str, part: Outcome, whole: Outcome) -> dict[str, Value]:
    row = {"condition": condition, **part.row()}
    row["top5_error"], row["loss"] = float(np.sqrt(row["top5"] * (1 - row["top5"]) / row["images"])), row.pop("loss")
    for k in (1, 5):
        share, error = (float(value) for value in relative(part, whole, k))
        row |= {f"normalised_top{k}": _known(share), f"normalised_top{k}_error": _known(error)}
    return row


def _known(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _share(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.1%}"


def _strip(data: Dataset, boxes: Mapping[str, Boxes]) -> Figure:
    """The images of `data` under every condition, as the model gets them."""
    with style():
        conditions = changes(boxes)
        figure, axes = panels(len(conditions), len(data.images), size=(1.4, 1.45))
        grid = np.reshape(axes, (len(conditions), -1))
        for line, (condition, change) in zip(grid, conditions.items(), strict=True):
            for place, (panel, name) in enumerate(zip(line, data.images.names, strict=True)):
                image = changed(decode(data.images.read(place), data.config.channels), name, change)
                bare(panel).imshow(shown(prepare(image, data.config)))
            line[0].set_ylabel(condition)
    return figure
