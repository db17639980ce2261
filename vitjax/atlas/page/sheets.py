"""Makes the tile pyramid of pictures in the order of unit numbers: sheets of ever smaller thumbnails.

A page that shows 40,000 units cannot load 40,000 files: it loads the few sheets whose thumbnails are as large as it
shows them. Unit n of cell size c lies on sheet n div (512/c)², there row by row. A sheet leaves the memory when it is
full, so that pictures never lie in memory together.
"""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import UInt8
from PIL import Image

SIDE = 512
CELLS = (8, 16, 32, 64, 128)
QUALITY = 85  # of pictures
_COARSE = 80  # of sheets
_FINE = 92  # of those whose thumbnails share the format's blocks of 16 pixels: less loss keeps them apart
_METHOD = 2  # of six: half the time of 4, Pillow's own choice, for 4 % more bytes


def cells_for(size: tuple[int, int]) -> list[int]:
    """Lists the cell sizes of an atlas whose pictures have this size: none is larger than a picture's longer side."""
    return [cell for cell in CELLS if cell <= max(size)] or [CELLS[0]]


def thumbnails(image: UInt8[np.ndarray, "height width 3"], cells: Sequence[int]) -> dict[int, Image.Image]:
    """Scales the picture to each cell size, its longer side filling the cell; what one that is not square leaves is
    transparent. The largest by Lanczos, the others halved from it; in the file's own values, as browsers scale."""
    whole = Image.fromarray(np.ascontiguousarray(image))
    side = max(cells)
    scale = side / max(whole.size)
    size = tuple(max(1, round(length * scale)) for length in whole.size)
    held = whole if size == whole.size else whole.resize(size, Image.Resampling.LANCZOS)
    if size != (side, side):
        ground = Image.new("RGBA", (side, side))
        ground.paste(held, ((side - size[0]) // 2, (side - size[1]) // 2))
        held = ground
    found = {side: held}
    for cell in sorted(cells, reverse=True)[1:]:
        found[cell] = held = held.reduce(held.width // cell)
    return found


def webp(image: Image.Image, quality: int = QUALITY) -> bytes:
    """Encodes the image as a lossy WebP."""
    buffer = io.BytesIO()
    image.save(buffer, format="webp", quality=quality, method=_METHOD)
    return buffer.getvalue()


@dataclass(eq=False)
class Sheets:
    """The sheets of all cell sizes, filled unit by unit.

    Attributes:
        cells: the cell sizes.
    """

    cells: Sequence[int]
    _open: dict[int, Image.Image] = field(default_factory=dict, repr=False)
    _units: int = 0

    def describe(self) -> dict[str, object]:
        """Says how the thumbnails lie, for data/atlas.js."""
        return {"side": SIDE, "cells": list(self.cells)}

    def add(self, pictures: dict[int, Image.Image]) -> Iterator[tuple[str, Image.Image, int]]:
        """Adds the next unit's thumbnails; gives the sheets that are full with it: file, image, quality."""
        for cell in self.cells:
            across = SIDE // cell
            place = self._units % across**2
            if place == 0:
                self._open[cell] = Image.new(pictures[cell].mode, (SIDE, SIDE))
            self._open[cell].paste(pictures[cell], (place % across * cell, place // across * cell))
            if place == across**2 - 1:
                yield self._close(cell, self._units // across**2)
        self._units += 1

    def finish(self) -> Iterator[tuple[str, Image.Image, int]]:
        """Gives the sheets that are begun and not full, as `add` does."""
        for cell in list(self._open):
            yield self._close(cell, (self._units - 1) // (SIDE // cell) ** 2)

    def _close(self, cell: int, number: int) -> tuple[str, Image.Image, int]:
        return f"sheets/{cell}/{number:05d}.webp", self._open.pop(cell), _FINE if cell <= 16 else _COARSE
