"""Cuts out of photographs what units fired on, patches around the one that fired most, and embeds it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int, UInt8
from PIL import Image

from vitjax.analysis.photographs.natural import Natural
from vitjax.analysis.scores.encoders import Encoder
from vitjax.data.dataset import Dataset
from vitjax.data.placement import patch_box
from vitjax.data.prepare import decode
from vitjax.models.core.preprocess import Input

CROP = 0.4  # the side of a crop in sides of the image
Box = tuple[int, int, int, int, int, int, int]  # place; row, column, rows, columns; the grid


@dataclass(frozen=True, eq=False)
class Crops:
    """The crops of some units: distinct ones, and which of them are whose.

    Attributes:
        embeddings: of the distinct crops.
        row: of each unit's n best crops in `embeddings`, best first.
    """

    embeddings: Float[np.ndarray, "crop channel"]
    row: Int[np.ndarray, "unit n"]

    def __call__(self, unit: slice | Sequence[int] = slice(None)) -> Float[np.ndarray, "unit n channel"]:
        """The embeddings of some units' crops."""
        return self.embeddings[self.row[unit]]

    def shuffled(self, rng: np.random.Generator) -> "Crops":
        """As many crops for each unit, drawn from all that are anyone's: a control."""
        return replace(self, row=rng.permutation(self.row.ravel()).reshape(self.row.shape))


def crops(
    naturals: Sequence[Natural],
    units: Sequence[Int[np.ndarray, " unit"]],
    encoder: Encoder,
    data: Dataset,
    share: float = CROP,
) -> list[Crops]:
    """Embeds the top crops of units of some taps; each distinct crop once.

    Args:
        naturals: of each tap, with exemplars.
        units: the numbers of the units in each tap.
        encoder: that embeds, at its input's size; a crop is resized to that whatever its proportions are.
        data: the photographs, as the model sees them that the exemplars are of.
        share: the side of a crop in sides of the image, rounded to whole places of the tap's grid. Where a unit fired
            at no patch it is the whole image.
    """
    asked = [[_boxes(natural, unit, share) for unit in some] for natural, some in zip(naturals, units, strict=True)]
    distinct = sorted({box for tap in asked for unit in tap for box in unit})
    number = {box: row for row, box in enumerate(distinct)}
    found = np.concatenate([encoder(images, data.batch) for images in _images(distinct, encoder, data)])
    rows = [np.array([[number[box] for box in unit] for unit in tap], int) for tap in asked]
    return [Crops(found, row) for row in rows]


def _boxes(natural: Natural, unit: int, share: float) -> list[Box]:
    """The crops of a unit's best images."""
    there = natural.place[unit] >= 0
    return [
        _box(int(place), int(patch), natural.grid, share)
        for place, patch in zip(natural.place[unit][there], natural.patch[unit][there], strict=True)
    ]


def _box(place: int, patch: int, grid: tuple[int, int] | None, share: float) -> Box:
    if grid is None or patch < 0:
        return (place, 0, 0, 1, 1, 1, 1)
    middle = divmod(patch, grid[1])
    sides = [max(1, min(round(share * side), side)) for side in grid]
    first = [int(np.clip(at - side // 2, 0, all - side)) for at, side, all in zip(middle, sides, grid, strict=True)]
    return (place, *first, *sides, *grid)


def _images(boxes: Sequence[Box], encoder: Encoder, data: Dataset) -> Iterator[UInt8[np.ndarray, "image h w color"]]:
    """The crops as the encoder reads them, some batches at a time; each photograph is decoded once."""
    config = Input.of(encoder.model)
    height, width = config.image_size
    filter = Image.Resampling[config.preprocess.interpolation.upper()]
    some, last, picture = [], -1, None
    for box in boxes:
        if box[0] != last:
            last, picture = box[0], decode(data.images.read(box[0]), config.channels)
        corners = _pixels(picture.size, data.config, box)
        some.append(np.asarray(picture.resize((width, height), filter, box=corners)).reshape(height, width, -1))
        if len(some) == 8 * data.batch:
            yield np.stack(some)
            some = []
    if some:
        yield np.stack(some)


def _pixels(size: tuple[int, int], config: Input, box: Box) -> tuple[float, float, float, float]:
    """A crop's left, top, right and bottom in the original, no further than that goes."""
    _, row, column, rows, columns, *grid = box
    left, top = patch_box(size, config, row, column, tuple(grid))[:2]
    right, bottom = patch_box(size, config, row + rows - 1, column + columns - 1, tuple(grid))[2:]
    left, top = min(max(float(left), 0.0), size[0] - 1.0), min(max(float(top), 0.0), size[1] - 1.0)
    return left, top, max(min(float(right), size[0]), left + 1), max(min(float(bottom), size[1]), top + 1)
