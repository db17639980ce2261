"""The analysis `grid`: what one photograph is made of at a tap, place by place, or as groups of places, in pictures.

After "The building blocks of interpretability" (Olah et al. 2018, doi 10.23915/distill.00010).
"""

import io
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from matplotlib.figure import Figure
from PIL import Image

from vitjax.analysis.directions.made_of import AUTO, Parts, made_of
from vitjax.analysis.directions.token_sample import tokens_of
from vitjax.analysis.study.checks import analysis
from vitjax.analysis.study.findings import Findings, Value, settings
from vitjax.analysis.study.gallery import gallery
from vitjax.analysis.units.maps import overlay
from vitjax.data.dataset import Dataset, open_dataset
from vitjax.data.pipeline import pixels
from vitjax.data.pixels import shown
from vitjax.errors import InputError, remark
from vitjax.models.core.network import Network
from vitjax.optimize.recipes import Recipe, fields
from vitjax.optimize.results.pictures import Pictures
from vitjax.optimize.visualize import visualize

CELL = 112  # pixels of the largest cell, if pictures have as many
LARGEST = 95  # percentile of the norms that has the largest cell: a few tokens may be many times as long as the rest
SMALLEST = 0.1  # of its side
CLASSES = 3  # named for each part


@analysis
def run(
    model: Network,
    data: Dataset,
    *,
    tap: str,
    groups: int | None = None,
    method: str = AUTO,
    mean: str | Path | None = None,
    recipe: str | Recipe = "fast",
    seed: int = 0,
) -> Findings:
    """Takes a photograph's value at a tap apart and makes a picture for each part.

    Args:
        model: any.
        data: one photograph.
        tap: with places on the image.
        groups: so many groups of places in place of each place by itself, which is as many pictures.
        method: that finds groups: "auto" (nmf where values are from 0 up, semi-nmf elsewhere) or one of `METHODS`.
        mean: images whose mean token is taken off every place first.
        recipe: of the pictures.
        seed: of the pictures, of the groups, and of the tokens that the mean is of.

    Returns:
        A row for each part: its size (of a place the norm, of a group that of its amounts), its share of the squares,
        the activation of its picture, and the classes whose logits it adds most to, with how much. A figure: pictures
        in the photograph's places, each with an area as its norm, or for each group its picture and where it is; and
        the grid as a PNG of its own.

    Raises:
        InputError: several photographs, a tap without places, an unknown recipe.
    """
    if len(data.images) != 1:
        raise InputError(
            f"a grid is of one photograph, {data.images.source} has {len(data.images)}: name one, or limit=1"
        )
    image = pixels(data.images, [0], model.config)[0]
    off = None
    if mean is not None:
        other = open_dataset(mean, model, batch=data.batch)
        off = tokens_of(model, other, tap, seed=seed).values.mean(axis=0)
        other.tell_unreadable()
    parts = made_of(model, image, tap, groups=groups, method=method, mean=off, seed=seed)
    name = Path(data.images.names[0]).name
    if groups is None:
        remark(f"grid: makes {len(parts.names)} pictures; --groups 6 would make 6")
    pictures = visualize(model, parts.goals(name), recipe, seed=seed)
    rows = _rows(parts, pictures, model)
    about = settings(model, data, tap=tap, groups=groups, mean=None if mean is None else str(mean), seed=seed)
    about |= {"recipe": fields(pictures.recipe), **parts.facts}
    files = {}
    if groups is None:
        cells = mosaic(parts, pictures.images)
        figures, files = {"": _beside(image, cells)}, {"grid-cells.png": _png(cells)}
    else:
        figures = {"": _of_groups(image, parts, pictures.images, rows)}
    return Findings("grid", rows, about, figures, summary=_summary(parts, name), files=files)


def mosaic(parts: Parts, pictures: UInt8[np.ndarray, "part h w color"]) -> UInt8[np.ndarray, "h w 3"]:
    """Pictures of places where these are, on white, each with an area in proportion to the norm of its value."""
    rows, columns = parts.grid
    side = min(CELL, *pictures.shape[1:3])
    canvas = Image.new("RGB", (columns * side, rows * side), "white")
    limit = np.percentile(parts.norms, LARGEST)
    for number, (picture, norm) in enumerate(zip(pictures, parts.norms.ravel(), strict=True)):
        row, column = divmod(number, columns)
        length = max(1, round(side * float(np.clip(np.sqrt(norm / limit), SMALLEST, 1))))
        small = Image.fromarray(np.ascontiguousarray(shown(picture))).resize((length, length), Image.Resampling.LANCZOS)
        canvas.paste(small, (column * side + (side - length) // 2, row * side + (side - length) // 2))
    return np.asarray(canvas)


def _rows(parts: Parts, pictures: Pictures, model: Network) -> list[dict[str, Value]]:
    sizes = np.linalg.norm(parts.amounts, axis=1)
    rows = []
    for number, name in enumerate(parts.names):
        row = {
            "part": name,
            "size": float(sizes[number]),
            "share": float(sizes[number] ** 2 / (sizes**2).sum()),
            "activation": float(pictures.activation[number]),
        }
        if parts.classes is not None:
            best = np.argsort(-parts.classes[number], kind="stable")[:CLASSES]
            for rank, one in enumerate(best, 1):
                row[f"class_{rank}"] = model.class_names.shown(int(one)) if model.class_names else str(one)
                row[f"adds_{rank}"] = float(parts.classes[number][one])
        rows.append(row)
    return rows


def _beside(image: np.ndarray, cells: np.ndarray) -> Figure:
    """The photograph and the grid, at one size."""
    size = cells.shape[1], cells.shape[0]
    photo = np.asarray(Image.fromarray(np.ascontiguousarray(shown(image))).resize(size, Image.Resampling.BICUBIC))
    return gallery([[[photo], [cells]]], side=6)


def _of_groups(image: np.ndarray, parts: Parts, pictures: np.ndarray, rows: list[dict[str, Value]]) -> Figure:
    """The picture of each group, and where on the photograph how much of it is."""
    maps = parts.amounts.reshape(-1, *parts.grid)
    cells = [[[picture, overlay(shown(image), amount)]] for picture, amount in zip(pictures, maps, strict=True)]
    return gallery(cells, labels=list(map(_label, rows)), side=1.6, width=12.5)


def _label(row: dict[str, Value]) -> str:
    said = [row["part"], f"{100 * row['share']:.0f} %"]
    names = [
        f"{row[f'class_{i}'].partition(',')[0][:20]} {row[f'adds_{i}']:+.2g}" for i in (1, 2) if f"class_{i}" in row
    ]
    return "\n".join([*said, *names])


def _png(image: np.ndarray) -> bytes:
    data = io.BytesIO()
    Image.fromarray(image).save(data, format="png")
    return data.getvalue()


def _summary(parts: Parts, name: str) -> str:
    rows, columns = parts.grid
    what = f"{name} at {parts.tap}: {rows} x {columns} places"
    if not parts.facts:
        return f"{what}, of norms {parts.norms.min():.3g} to {parts.norms.max():.3g}"
    left = f"which leave {100 * parts.facts['error']:.0f} % of the squares"
    return f"{what} in {len(parts.names)} groups by {parts.facts['method']}, {left}"
