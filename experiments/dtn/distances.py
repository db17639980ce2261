"""How far heads look under LN and DTN: the mean distance that attention bridges, by head and block.

    python -m experiments.dtn.distances --runs runs/dtn --model vit --data tiny-50/val --limit 500

The distance of a query patch to each key, in pixels, weighted by attention, is averaged over queries and images (the
paper's figure `DTN_Head`, in patches there). `results/distances-vit.csv` has a row for each head of every finished run,
with what attention to all places alike would give.
"""

import argparse

import numpy as np
from jaxtyping import Array, Float
from matplotlib.figure import Figure

from experiments.dtn.finished import NORMS, add_runs, save_figure, trained
from experiments.dtn.table import write
from vitjax.analysis.study.passes import gather
from vitjax.analysis.study.style import COLORS, panels, style
from vitjax.data.dataset import open_dataset
from vitjax.models.core.network import Network
from vitjax.models.core.tap_site import Site

PROBS = ".attn.probs"


def between(site: Site, image: tuple[int, int]) -> tuple[Float[np.ndarray, "*window query key"], np.ndarray]:
    """Distances from queries to keys in pixels, and which of the pairs are of places that may attend to each other.

    Keys that are fewer than the places are means of squares of these, and stand in their middle. In a shifted window of
    places from two ends of the image only those do that lie within a window's side of each other.

    Args:
        site: of attention probabilities.
        image: (height, width) in pixels.
    """
    if site.cut is not None:
        places, grid = site.cut.places, site.cut.grid
        there, known, side = places >= 0, np.maximum(places, 0), round(places.shape[1] ** 0.5)
        centres, stand = _centres(grid, image)[known], np.stack(np.unravel_index(known, grid), axis=-1)
        near = (abs(stand[:, :, None] - stand[:, None]) < side).all(axis=-1)
        return _apart(centres, centres), there[:, :, None] & there[:, None] & near
    keys = site.shape[-1] - site.prefix * (site.shape[-1] == site.shape[-2])
    step = round((np.prod(site.grid) / keys) ** 0.5)
    nowhere = np.full((site.shape[-1] - keys, 2), np.nan)
    of_keys = np.concatenate([nowhere, _centres(tuple(side // step for side in site.grid), image)])
    of_queries = np.concatenate([np.full((site.prefix, 2), np.nan), _centres(site.grid, image)])
    found = _apart(of_queries, of_keys)
    return np.nan_to_num(found), ~np.isnan(found)


def _centres(grid: tuple[int, int], image: tuple[int, int]) -> Float[np.ndarray, "place 2"]:
    rows, columns = ((np.arange(count) + 0.5) * side / count for count, side in zip(grid, image, strict=True))
    return np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2)


def _apart(here: np.ndarray, there: np.ndarray) -> np.ndarray:
    return np.linalg.norm(here[..., :, None, :] - there[..., None, :, :], axis=-1)


def distances(model: Network, images: Float[Array, "image h w 3"]) -> dict[str, Float[Array, "image head"]]:
    """The mean distance that each head of each block bridges in each image, by tap; attention to no place left out."""
    sites = {tap: site for tap, site in model.taps().items() if tap.endswith(PROBS)}
    values, found = model(images, [*sites]), {}
    for tap, site in sites.items():
        apart, pairs = between(site, model.config.image_size)
        probs = (
            values[tap].swapaxes(1, 2) if site.cut is not None else values[tap]
        )  # [image, head, *window, query, key]
        axes = tuple(range(2, probs.ndim))
        weights = probs * pairs
        found[tap] = (weights * apart).sum(axis=axes) / weights.sum(axis=axes)
    return found


def draw(rows: list[dict]) -> Figure:
    """A panel for each norm: heads as dots above their block."""
    norms = [norm for norm in NORMS if any(row["norm"] == norm for row in rows)]
    blocks = list(dict.fromkeys(row["block"] for row in rows))
    figure, axes = panels(1, len(norms), (2.8, 2.6), sharey=True)
    for axis, norm, color in zip(axes, norms, COLORS, strict=False):
        mine = [row for row in rows if row["norm"] == norm]
        axis.plot(
            [blocks.index(row["block"]) for row in mine], [row["pixels"] for row in mine], "o", color=color, alpha=0.6
        )
        alike = {row["block"]: row["alike"] for row in rows}
        axis.plot([alike[block] for block in blocks], color="#999999", linewidth=1, linestyle=":")
        axis.set(title=NORMS[norm], xlabel="block", xticks=range(len(blocks)))
    axes[0].set(ylabel="mean distance of attention, pixels")
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args = add_runs(parser, data=True).parse_args()
    rows = []
    for run, model in trained(args.runs, args.model).items():
        data = open_dataset(args.data, model.config, limit=args.limit, batch=50)
        _, found = gather(model, data.batches(), distances)
        for tap, values in found.items():
            apart, pairs = between(model.taps()[tap], model.config.image_size)
            about = {"norm": run.norm, "seed": run.seed, "block": tap.removesuffix(PROBS)}
            alike = float(apart[pairs].mean())
            for head, each in enumerate(values.T):
                error = each.std(ddof=1) / len(each) ** 0.5
                rows.append(about | {"head": head, "pixels": each.mean(), "error": error, "alike": alike})
    write(args.out / f"distances-{args.model}.csv", rows)
    with style():
        save_figure(draw(rows), args.out / f"distances-{args.model}.webp")


if __name__ == "__main__":
    main()
