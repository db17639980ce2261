"""The analysis `tokens`: measures how well patch embeddings cluster by object, at every layer.

The quantitative part of Nguyen et al. 2022 (arXiv 2210.07646), published code: VOC 2009, every image with two or more
large objects, its tokens after each block, with the image as it is and with its tiles shuffled.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pyarrow as pa
from jaxtyping import Float, Int, UInt8

from vitjax.analysis.clusters.maps_of_tokens import check, example
from vitjax.analysis.clusters.token_figures import draw
from vitjax.analysis.clusters.token_rows import EMBEDDINGS, differences, image_rows, means
from vitjax.analysis.perturbed.alike import GIVEN, layers, weights
from vitjax.analysis.perturbed.shuffle import orders, shuffle, tile
from vitjax.analysis.photographs.outliers import OUTLIER
from vitjax.analysis.study.checks import analysis
from vitjax.analysis.study.findings import Findings, settings
from vitjax.analysis.study.passes import over
from vitjax.data.annotations.masks import (
    CLAIMS,
    FITS,
    IGNORED,
    Masks,
    Objects,
    box_masks,
    fitted,
    fitted_labels,
    masks,
    patch_labels,
)
from vitjax.data.dataset import Dataset
from vitjax.data.pipeline import Extent
from vitjax.data.prepare import decode
from vitjax.errors import InputError, nearest, printable
from vitjax.models.core.network import Network

AREA = 0.14**2  # share of the image that an object must cover, and more (published code: 0.14² · 224² pixels)
OBJECTS = 2  # that an image must have


@dataclass(frozen=True, eq=False)
class Scene:
    """An image as the model takes it and its large objects: `labels` has 0 for none, i + 1 for the one of `kinds[i]`.

    `place` is its place in the data set.
    """

    place: int
    pixels: UInt8[np.ndarray, "h w 3"]
    labels: Int[np.ndarray, "h w"]
    kinds: tuple[str, ...]


def large(objects: Objects, background: bool = False) -> Objects:
    """The objects that cover more than `AREA` of the image, numbered anew; the others count as nothing.

    With `background` all that no object covers, large or small, is one more object, if it is large.
    """
    labels = objects.labels
    if background:
        labels = np.where(labels == 0, len(objects.kinds) + 1, labels)
    kinds = (*objects.kinds, *["background"] * background)
    kept = [i for i in range(len(kinds)) if (labels == i + 1).sum() > AREA * labels.size]
    numbers = np.zeros(len(kinds) + 1, np.int32)
    numbers[[i + 1 for i in kept]] = np.arange(1, len(kept) + 1)
    return Objects(numbers[labels], tuple(kinds[i] for i in kept))


def scenes(
    data: Dataset, found: Masks, *, fit: str = "squash", background: bool = False
) -> tuple[list[Scene], dict[str, int]]:
    """Reads the images with two or more large objects, and counts how many there are of which kind.

    Args:
        data: the images.
        found: their masks.
        fit: see `vitjax.data.annotations.masks.fitted`.
        background: see `large`.

    Raises:
        InputError: a mask that does not fit its image, or no image that will do.
    """
    chosen, masked = [], 0
    for place, name in enumerate(data.images.names):
        if name not in found:
            continue
        try:
            image = decode(data.images.read(place), data.config.channels)
        except (InputError, OSError) as error:
            data.unreadable[name] = str(error)
            continue
        masked += 1
        objects = fitted_labels(found[name](image.height, image.width), data.config, fit)
        objects = large(objects, background)
        if len(objects.kinds) >= OBJECTS:
            chosen.append(Scene(place, fitted(image, data.config, fit), objects.labels, objects.kinds))
    if not chosen:
        hint = "" if background else "; what surrounds a single object counts as another with background"
        raise InputError(
            f"none of {masked} images with a mask has {OBJECTS} objects larger than {AREA:.1%} of the image{hint}"
        )
    return chosen, {"with_mask": masked, "with_objects": len(chosen)}


def embedded(
    model: Network,
    data: Dataset,
    some: Sequence[Scene],
    taps: Sequence[str],
    grid: int = 1,
    seed: int = 0,
    claims: str = CLAIMS[0],
) -> Iterator[tuple[Scene, list[Float[np.ndarray, "patch channel"]], Int[np.ndarray, " patch"]]]:
    """Scenes whose tiles are shuffled: their patch tokens at each tap, and the object of each patch, 0 for none."""
    batch, read = data.batch, over(model, data.batch, _read, taps=tuple(taps))
    starts = range(0, len(some), batch)
    for start in data.progress(starts, Extent(len(starts), len(some))):
        part = some[start : start + batch]
        rows = np.minimum(np.arange(batch), len(part) - 1)  # the last batch is filled up
        pixels, labels = (np.stack([getattr(scene, name) for scene in part])[rows] for name in ("pixels", "labels"))
        order = orders(jnp.asarray(pixels) / 255, grid, seed)
        pixels = np.asarray(shuffle(pixels, order, grid))
        labels = np.asarray(shuffle(labels[..., None], order, grid))[..., 0]
        values = [np.asarray(tap) for tap in read(pixels)]
        for row, scene in enumerate(part):
            yield scene, [tap[row] for tap in values], patch_labels(labels[row], model.config.grid, claims=claims)


def _read(model, images, *, taps):
    values = model(images, taps)
    sites = model.taps()
    return [values[tap][:, sites[tap].prefix :].astype(jnp.float32) for tap in taps]


@analysis
def run(
    model: Network,
    data: Dataset,
    *,
    masks: Path | None = None,
    boxes: Path | None = None,
    ignored: Sequence[int] = IGNORED,
    background: bool = False,
    fit: str = "squash",
    grids: Sequence[int] = (1,),
    taps: Sequence[str] | None = None,
    embeddings: Sequence[str] = tuple(EMBEDDINGS),
    control: bool = False,
    layout: str = "tsne",
    seed: int = 0,
    claims: str = "larger",
) -> Findings:
    """Measures how the patches of an image cluster by object, layer after layer.

    An image takes part where two or more objects cover more than 2 % of it each and none has fewer than three patches;
    a patch shows the object that covers 0.4 of it or more.

    Args:
        model: any ViT.
        data: images, which need no classes.
        masks, boxes: where the objects are, see `vitjax.data.annotations.masks`; with neither, lists of boxes among the
            images.
        ignored: ids of class maps that are no objects.
        background: what no object covers is an object, too.
        fit: "squash" as in the paper, or "crop" as the checkpoint was evaluated.
        grids: shuffles of that many tiles along each side; 1 is the image as it is.
        taps: whose tokens (default: the output of every block).
        embeddings: in what forms they are clustered, of `token_rows.EMBEDDINGS`: as "published", of "unit" length, or
            with "no-outliers", without tokens of huge norm (see `norms`); the first is what others are compared with.
        control: measure a model with random weights too.
        layout: how the tokens of the first image are drawn in the plane: tsne, umap or none.
        seed: of shuffles, k-means, layout and random weights.
        claims: whose a patch is that two objects claim, see `patch_labels`: "larger", or "sum" as published.

    Returns:
        A row for each weights, grid, form and layer: the means over images of `clusters.measures`, of the purity of
        k-means, and of a linear probe for the classes (with `majority`, the share of the most frequent class), with
        standard errors over images; `images`, how many there were, and `outliers`, how many tokens of huge norm an
        image has among those that show objects. The table `tokens-images` has the same image by image, and
        `tokens-differences` what sets rows apart on the same images, see `token_rows.differences`.

    Raises:
        InputError: no masks, masks that do not fit, no image with enough objects, unknown forms, or grids that do not
            divide it.
    """
    for what, given, known in (("fit", fit, FITS), ("claims", claims, CLAIMS)):
        if given not in known:
            raise InputError(f"unknown {what} {given!r}{nearest(given, known)}: {' or '.join(known)}")
    for grid in grids:
        tile(model.config.image_size, grid)
    if unknown := [form for form in embeddings if form not in EMBEDDINGS]:
        raise InputError(
            f"no embeddings {unknown[0]!r}{nearest(unknown[0], EMBEDDINGS)}: they are {', '.join(EMBEDDINGS)}"
        )
    if not embeddings:
        raise InputError(f"no form of embeddings is given: {', '.join(EMBEDDINGS)}")
    check(layout)
    taps, found = layers(model, taps), _masks(data, masks, boxes, ignored)
    chosen, count = scenes(data, found, fit=fit, background=background)
    lines = []
    for name, one in weights(model, control, seed).items():
        for grid in grids:
            read = embedded(one, data, chosen, taps, grid, seed, claims)
            found = image_rows(((scene.place, scene.kinds, *rest) for scene, *rest in read), taps, embeddings, seed)
            lines += [{"weights": name, "grid": grid} | row for row in found]
    rows = means(lines)
    options = {
        "masks": str(masks or boxes or "boxes among the images"), "ignored": list(ignored), "background": background,
        "fit": fit, "claims": claims, "grids": list(grids), "taps": taps, "embeddings": list(embeddings),
        "outlier": OUTLIER, "control": control, "layout": layout, "seed": seed, **count,
    }  # fmt: skip
    figures = {"": draw(rows)} | ({"grids": draw(rows, "grid")} if len(set(grids)) > 1 else {})
    if layout != "none":
        labels = patch_labels(chosen[0].labels, model.config.grid, claims=claims)
        first = chosen[0].pixels, labels, chosen[0].kinds
        figures[layout], _ = example(model, *first, taps, layout, seed=seed)
    named = [line | {"image": printable(data.images.names[line["image"]])} for line in lines]
    tables = {
        "tokens-images": pa.Table.from_pylist(named),
        "tokens-differences": pa.Table.from_pylist(differences(lines)),
    }
    return Findings("tokens", rows, settings(model, data, **options), figures, _summary(rows), tables)


def _masks(data: Dataset, masked: Path | None, boxes: Path | None, ignored: Sequence[int]) -> Masks:
    return masks(data.images, masked, ignored=ignored) if masked else box_masks(data.images, boxes)


def _summary(rows: Sequence[dict]) -> str:
    """The first and the last layer of the model's own weights, unshuffled, in every form."""
    own = [row for row in rows if (row["weights"], row["grid"]) == (GIVEN, rows[0]["grid"])]
    said = [f"{own[0]['images']} images, {own[0]['objects']} objects; from the first to the last layer"]
    for form in dict.fromkeys(row["embeddings"] for row in own):
        first, *_, last = [row for row in own if row["embeddings"] == form] * 2
        parts = (f"{name} {first[name]:.2f} to {last[name]:.2f}" for name in ("purity", "silhouette", "kmeans_purity"))
        said.append(f"  {form}: {', '.join(parts)}")
    return "\n".join(said)
