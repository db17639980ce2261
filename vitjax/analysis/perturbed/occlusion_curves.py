"""The analysis `occlusion`: accuracy and the likeness of embeddings while more and more of each image is hidden.

Nguyen et al. 2022 (arXiv 2210.07646) show that views of occluded patches come back in deep layers; these are the curves
to it. Of every image, as the model gets it or at its own resolution, growing shares of random, salient and non-salient
tiles are hidden; see `vitjax.analysis.perturbed.occlusion`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pyarrow as pa
from jax import lax
from jaxtyping import Array

from vitjax.analysis.ablations.positions import permutations
from vitjax.analysis.perturbed.alike import (
    CLASS,
    MEAN,
    Measured,
    compare,
    directions,
    layers,
    measure,
    table,
    weights,
)
from vitjax.analysis.perturbed.occlusion import (
    FILLS,
    REMOVE,
    SETS,
    Occlude,
    by_attention,
    candidates,
    hidden_tiles,
    object_tiles,
    occlude,
    removal,
)
from vitjax.analysis.perturbed.occlusion_figures import draw_accuracy, draw_by_layer
from vitjax.analysis.perturbed.occlusion_tables import NONE, accuracy_rows, image_table
from vitjax.analysis.study.blocks import after_blocks, beside, class_attends, same_tokens, stream
from vitjax.analysis.study.checks import analysis
from vitjax.analysis.study.findings import Findings, settings
from vitjax.data.annotations.masks import Masks, box_masks, fitted_labels, masks
from vitjax.data.dataset import Dataset
from vitjax.data.prepare import decode
from vitjax.errors import InputError, nearest
from vitjax.models.core.network import Network

RATIOS = (0.1, 0.25, 0.5, 0.75, 0.9)
SEEN, HIDDEN = "patches seen", "patches hidden"


class Setting(NamedTuple):
    """What is hidden: `ratio` of a set of tiles, behind a fill; the fields are columns of the tables."""

    fill: str
    set: str
    ratio: float


@analysis
def run(
    model: Network,
    data: Dataset,
    *,
    ratios: Sequence[float] = RATIOS,
    fills: Sequence[str] = ("black",),
    masks: Path | None = None,
    boxes: Path | None = None,
    native: bool = False,
    taps: Sequence[str] | None = None,
    control: bool = False,
    seed: int = 0,
) -> Findings:
    """Measures accuracy and cosine similarity with the image as it is, by set of tiles, fill, ratio and layer.

    Aligned occlusion takes one pass over the data for all settings; native occlusion, which hides before the image is
    resized, one for each.

    Args:
        model: with a head. A convolutional network will do for fills other than "remove", with masks or boxes, or
            native; the tiles on its grid are 16 pixels wide, as are the patches of a ViT/16. The authors compare
            none.
        data: images whose classes are known.
        ratios: shares of each set, above 0 and at most 1.
        fills: black, mean (the image's mean colour), noise, or remove (the tokens are taken away).
        masks, boxes: where the objects are, see `vitjax.data.annotations.masks`; only images that have them take part,
            and where an image shows no object its salient set is empty. With neither, the half of the patches that the
            last block's class token attends to most is called salient.
        native: hide tiles of the original image, on a grid with as many tiles as the model has patches, as the
            published notebook does; without masks or boxes only random ones.
        taps: whose embeddings are compared (default: the output of every block; see `Network.layers`).
        control: measure a model with random weights too.
        seed: of tiles, noise and random weights.

    Returns:
        A row for each setting with the share of the patches that was hidden (native: of the model's pixels that
        changed), top-1, top-5, loss and what `occlusion_tables.accuracy_rows` compares; ratio 0 is the image as it is.
        The table `occlusion-layers` has cosines with the image as it is, by layer: of class tokens, of means over the
        patches, of the patches that are seen and of those that are hidden; `occlusion-images` the rank of each image's
        class under every setting.

    Raises:
        InputError: ratios or fills that do not exist, no classes, masks that do not fit, or none where no class token
            says what is salient.
    """
    if not ratios or not fills:
        raise InputError("nothing is hidden: give ratios and fills")
    if wrong := [ratio for ratio in ratios if not 0 < ratio <= 1]:
        raise InputError(f"the ratio {wrong[0]:g} is not above 0 and at most 1: it is the share that is hidden")
    able = "global attention" in getattr(model, "facts", ()) and same_tokens(model)
    usable = (*FILLS, REMOVE) if able and not native else (*FILLS,)
    if unknown := [fill for fill in fills if fill not in usable]:
        raise InputError(f"no occlusion by {unknown[0]!r}{nearest(unknown[0], usable)}: {', '.join(usable)}")
    data, found = _with_objects(data, masks, boxes)
    if not (found or native or class_attends(model)):
        raise InputError("which patches are salient? No class token attends to them: give masks or boxes")
    sets = SETS if found or not native else SETS[:1]
    every = [Setting(*one) for one in product(dict.fromkeys(fills), sets, sorted(set(ratios)))]
    taps, images, lines = layers(model, taps), [], []
    for name, one in weights(model, control, seed).items():
        for setting, measured, at in (_native if native else _aligned)(
            one, data.named(f"{name} weights"), every, found, taps, seed
        ):
            place, hidden = {"weights": name, **setting._asdict()}, measured.about[:, at]
            images.append(image_table(place, measured.outcome.at(at), hidden, data.images.names, measured.places))
            place["hidden"] = float(hidden.mean())
            lines += table(place, measured, at, taps, (CLASS, MEAN) if native else (CLASS, MEAN, SEEN, HIDDEN))
    images = pa.concat_tables(images).unify_dictionaries()
    rows = accuracy_rows(images)
    salience = str(masks or boxes) if found else "none" if native else "attention of the last block's class token"
    options = {"ratios": list(ratios), "fills": list(fills), "native": native, "salience": salience}
    options |= {"taps": taps, "control": control, "seed": seed}
    return Findings(
        name="occlusion",
        rows=rows,
        settings=settings(model, data, **options),
        figures={"": draw_accuracy(rows), "layers": draw_by_layer(lines)},
        summary=_summary(rows),
        tables={"occlusion-layers": pa.Table.from_pylist(lines), "occlusion-images": images},
    )


def _with_objects(data: Dataset, masked: Path | None, boxes: Path | None) -> tuple[Dataset, Masks]:
    """The images that have a mask, and their masks; all images and no masks where none are asked for."""
    if masked is None and boxes is None:
        return data, {}
    found = masks(data.images, masked) if masked else box_masks(data.images, boxes)
    there = [place for place, name in enumerate(data.images.names) if name in found]
    return replace(data, images=data.images.take(there)), found


Found = Iterator[tuple[Setting, Measured, int]]
NOTHING = Setting("none", NONE, 0.0)


def _aligned(
    model: Network, data: Dataset, every: Sequence[Setting], found: Masks, taps: list[str], seed: int
) -> Found:
    """All settings in one pass, the first of which hides nothing."""
    options = {"grid": model.config.grid, "every": tuple(every), "seed": seed, "attention": not found}
    salient = _salience(data, found) if found else lambda places: np.zeros((len(places), model.config.patches), bool)
    measured = measure(model, data, taps, _hide, lambda places: (salient(places),), **options)
    yield from ((setting, measured, at) for at, setting in enumerate([NOTHING, *every]))


def _salience(data: Dataset, found: Masks) -> Callable[[np.ndarray], np.ndarray]:
    """The salient patches of the images at some places, [image, patch]."""

    def one(place: int) -> np.ndarray:
        try:
            image = decode(data.images.read(place), data.config.channels)
        except (InputError, OSError):  # the batch has left it out and named it
            return np.zeros(data.config.patches, bool)
        objects = found[data.images.names[place]](image.height, image.width)
        return object_tiles(fitted_labels(objects, data.config, "crop").labels, data.config.grid)

    empty = np.zeros(data.config.patches, bool)
    return lambda places: np.stack([one(place) if place >= 0 else empty for place in places])


def _hide(model, images, truth, salient, *, taps, grid, every, seed, attention):
    """Runs the images as they are and under every setting: what `measure` takes, settings on the second axis."""
    probs = beside(after_blocks(model)[-1], "attn.probs") if attention else None
    whole = model(images, [*taps, "logits", *filter(None, [probs])])
    if attention:
        salient = by_attention(whole[probs], stream(model).prefix)
    order, nothing, reads = permutations(images, seed, salient.shape[1]), jnp.zeros_like(salient), [*taps, "logits"]

    def copy(fill: str, tiles: Array):
        if fill == REMOVE:
            part = model(images, reads, removal(tiles, model))
            return compare(model, whole, part, truth, taps, (~tiles, nothing), gone=tiles)
        part = model(occlude(images, tiles, grid, fill, seed), reads)
        return compare(model, whole, part, truth, taps, (~tiles, tiles))

    copies = [jax.tree.map(lambda x: x[None], compare(model, whole, whole, truth, taps, (~nothing, nothing)))]
    hidden = [nothing[None]]
    for fill in dict.fromkeys(setting.fill for setting in every):
        for which in SETS:
            ratios = [setting.ratio for setting in every if (setting.fill, setting.set) == (fill, which)]
            hidden.append(hidden_tiles(candidates(salient, which), order, ratios))
        tiles = jnp.concatenate(hidden[-len(SETS) :])
        copies.append(lax.map(lambda tiles, fill=fill: copy(fill, tiles), tiles))
    copies = jax.tree.map(lambda *some: jnp.moveaxis(jnp.concatenate(some), 0, 1), *copies)
    share = jnp.concatenate(hidden).mean(axis=-1).T
    return copies, directions(whole, taps, model), share


def _native(model: Network, data: Dataset, every: Sequence[Setting], found: Masks, taps: list[str], seed: int) -> Found:
    """A pass for each setting, beside which runs another over the images as they are."""
    grid = model.config.grid
    for number, setting in enumerate(every):
        change = Occlude(setting.set, setting.ratio, grid, setting.fill, seed, found)
        hidden = iter(replace(data, progress=Dataset.progress).batches(change))
        measured = measure(model, data, taps, _beside, lambda places, hidden=hidden: (next(hidden).images,))
        if not number:
            yield NOTHING, measured, 0
        yield setting, measured, 1


def _beside(model, images, truth, hidden, *, taps):
    """Runs the images and copies that were changed before: what `measure` takes."""
    hidden = hidden.astype(jnp.float32) / 255
    whole, part = (model(some, [*taps, "logits"]) for some in (images, hidden))
    copies = [compare(model, whole, some, truth, taps) for some in (whole, part)]
    changed = jnp.stack([jnp.zeros(len(images)), (images != hidden).any(axis=-1).mean(axis=(1, 2))], axis=1)
    return jax.tree.map(lambda *x: jnp.stack(x, 1), *copies), directions(whole, taps, model), changed


def _summary(rows: Sequence[dict]) -> str:
    whole = rows[0]
    worst = max(row["ratio"] for row in rows)
    left = ", ".join(
        f"{row['set']} {row['top1']:.1%} ({row['hidden']:.0%} of the image)"
        for row in rows
        if row["weights"] == whole["weights"] and row["ratio"] == worst and row["fill"] == rows[1]["fill"]
    )
    return f"top-1 {whole['top1']:.1%} on {whole['images']} images; with {worst:.0%} of a set {rows[1]['fill']}: {left}"
