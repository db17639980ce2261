"""The analysis `shuffle`: accuracy and the likeness of embeddings when the tiles of images are shuffled.

Nguyen et al. 2022 (arXiv 2210.07646), published code: an image is cut into g x g tiles, which are put together again in
a random order. Where g is 8 and the image has 14 x 14 patches, the cuts run through patches.
"""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
import pyarrow as pa
from jaxtyping import Array, Int, Shaped
from matplotlib.figure import Figure

from vitjax.analysis.ablations.positions import permutations, shuffled
from vitjax.analysis.perturbed.alike import (
    CLASS,
    GIVEN,
    MEAN,
    compare,
    directions,
    layers,
    measure,
    table,
    weights,
)
from vitjax.analysis.perturbed.alike_figures import LINES, draw_layers
from vitjax.analysis.study.checks import analysis
from vitjax.analysis.study.findings import Findings, settings
from vitjax.analysis.study.style import panels, style
from vitjax.data.dataset import Dataset
from vitjax.errors import InputError
from vitjax.models.core.network import Network
from vitjax.models.registry import Config

MOVED = "patches, where they went"


def shuffle(
    images: Shaped[Array, "image h w channel"], order: Int[Array, "image tile"], grid: int
) -> Shaped[Array, "image h w channel"]:
    """The images, or their masks, with tile `order[:, i]` of a grid of `grid` x `grid` at place i.

    Raises:
        InputError: an order of other tiles than the grid's, or a grid that the image does not divide into.
    """
    known = not isinstance(order, jax.core.Tracer)
    if known and not all(sorted(line) == list(range(grid * grid)) for line in np.asarray(order).tolist()):
        raise InputError(f"the tiles of a {grid}x{grid} grid are 0-{grid * grid - 1}, each once")
    return shuffled(images, order, tile(images.shape[1:3], grid))


def orders(images: Array, grid: int, seed: int) -> Int[Array, "image tile"]:
    """The order of the tiles of each image, from the seed and the image's own pixels; one tile stays where it is."""
    return permutations(images, seed, grid * grid)


def tile(size: tuple[int, int], grid: int) -> tuple[int, int]:
    """The height and width of a tile in pixels (or in patches, for a size in patches).

    Raises:
        InputError: a grid that the image does not divide into.
    """
    if grid < 1 or size[0] % grid or size[1] % grid:
        fits = [str(n) for n in range(1, min(size) + 1) if not size[0] % n and not size[1] % n]
        near = sorted(fits, key=lambda n: abs(int(n) - grid))[:3]
        raise InputError(
            f"an image of {size[1]}x{size[0]} has no {grid}x{grid} tiles of equal size; try {', '.join(near)}"
        )
    return size[0] // grid, size[1] // grid


@analysis
def run(
    model: Network,
    data: Dataset,
    *,
    grids: Sequence[int] | None = None,
    taps: Sequence[str] | None = None,
    control: bool = False,
    seed: int = 0,
) -> Findings:
    """Measures accuracy and cosine similarity with the image as it is, for grids from coarse to fine, in one pass.

    Args:
        model: with a head; a convolutional network counts as one with patches of 16 pixels. The authors compare none.
        data: images whose classes are known.
        grids: tiles along each side; default 2, 4, 8 and as many as there are patches, as the published code has them,
            where the image divides into them.
        taps: whose embeddings are compared (default: the output of every block; see `Network.layers`).
        control: measure a model with random weights too.
        seed: of the orders and of the random weights.

    Returns:
        A row for each grid: top-1, top-5, loss, and the change of top-1 with its standard error, image by image; grid
        1 is the image as it is. The table `shuffle-layers` has cosines with the image as it is, by layer: of class
        tokens, of means over the patches, and of each patch where it went, for grids that do not cut through patches.

    Raises:
        InputError: no classes, or a grid that the image does not divide into.
    """
    config, taps = model.config, layers(model, taps)
    grids = _default(config) if grids is None else sorted(set(grids) - {1})
    for grid in grids:
        tile(config.image_size, grid)
    if not grids:
        raise InputError("nothing is shuffled: give a grid of 2x2 tiles or more")
    rows, lines = [], []
    for name, one in weights(model, control, seed).items():
        measured = measure(one, data.named(f"{name} weights"), taps, _mix, grids=tuple(grids), seed=seed)
        for at, grid in enumerate([1, *grids]):
            place = {"weights": name, "grid": grid}
            outcome, whole = (measured.outcome.at(which) for which in (at, 0))
            rows.append(place | outcome.row(whole))
            lines += table(place, measured, at, taps, (CLASS, MEAN, MOVED))
    return Findings(
        name="shuffle",
        rows=rows,
        settings=settings(model, data, grids=grids, taps=taps, control=control, seed=seed),
        figures={"": _accuracy(rows), "layers": draw_layers(lines, "grid", lambda grid: f"{grid}x{grid}", "")},
        summary="top-1: "
        + ", ".join(f"{r['grid']}x{r['grid']} {r['top1']:.1%}" for r in rows if r["weights"] == GIVEN),
        tables={"shuffle-layers": pa.Table.from_pylist(lines)},
    )


def _default(config: Config) -> list[int]:
    fits = lambda grid: not any(side % grid for side in config.image_size)
    return sorted({grid for grid in (2, 4, 8, min(config.grid)) if fits(grid)})


def _mix(model, images, truth, *, taps, grids, seed):
    """Runs the images as they are and shuffled: what `measure` takes, grids on the second axis."""
    reads, rows = [*taps, "logits"], model.config.grid
    whole = model(images, reads)
    everywhere = jnp.ones((len(images), rows[0] * rows[1]), bool)
    copies = [compare(model, whole, whole, truth, taps, (everywhere,))]
    for grid in grids:
        order = orders(images, grid, seed)
        part = model(shuffle(images, order, grid), reads)
        aligned = not any(side % grid for side in rows)
        patches = jnp.broadcast_to(jnp.arange(everywhere.shape[1]).reshape(*rows, 1), (len(images), *rows, 1))
        source = shuffle(patches, order, grid).reshape(everywhere.shape) if aligned else None
        copies.append(compare(model, whole, part, truth, taps, (everywhere & aligned,), source))
    return jax.tree.map(lambda *x: jnp.stack(x, 1), *copies), directions(whole, taps, model), ()


def _accuracy(rows: Sequence[Mapping]) -> Figure:
    with style():
        figure, (axes,) = panels(size=(3.6, 2.7))
        for name in dict.fromkeys(row["weights"] for row in rows):
            some = [row for row in rows if row["weights"] == name]
            top1, error = (100 * np.array([row[key] for row in some]) for key in ("top1", "top1_error"))
            axes.errorbar(range(len(some)), top1, error, fmt=f"o{LINES[name]}", capsize=2, label=f"{name} weights")
        axes.set_xticks(range(len(some)), [f"{row['grid']}x{row['grid']}" for row in some])
        axes.set(xlabel="tiles shuffled", ylabel="top-1 (%)", ylim=(0, None))
        figure.legend(loc="outside lower center", ncols=2)
    return figure
