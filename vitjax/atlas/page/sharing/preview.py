"""Draws the picture by which links to an atlas are shown, of pictures of units alone, never of photographs."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from vitjax.atlas.page.contents import Contents

FILE = "preview.jpg"
SIZE = (1200, 630)  # pixels: what the Open Graph protocol's readers show whole
TILE = 120
ACROSS, DOWN = SIZE[0] // TILE, SIZE[1] // TILE
GROUND = (21, 21, 20)


def shown(contents: Contents) -> list[int]:
    """Chooses units from all layers, at even distances, those with the best verdict where there are enough of them."""
    count, most = len(contents.units), ACROSS * DOWN
    word = next((column for column in contents.columns if column.words), None)
    good = [number for number in range(count) if word and word.values[number] == word.words[0]]
    those = good if len(good) >= min(most, count) else range(count)
    places = np.linspace(0, len(those) - 1, min(most, len(those))).round().astype(int)
    return [those[place] for place in dict.fromkeys(places.tolist())]


@dataclass(eq=False)
class Preview:
    """The preview, filled picture by picture.

    Attributes:
        units: whose pictures it takes.
    """

    units: Sequence[int]
    _tiles: dict[int, Image.Image] = field(default_factory=dict, repr=False)

    def add(self, number: int, image: Image.Image) -> None:
        """Takes a unit's picture, if it is one of those."""
        if number in self.units:
            self._tiles[number] = image.convert("RGB").resize((TILE, TILE), Image.Resampling.LANCZOS)

    def jpeg(self) -> bytes:
        """Encodes it."""
        whole = Image.new("RGB", SIZE, GROUND)
        rows = max(1, -(-len(self.units) // ACROSS))
        top = (SIZE[1] - rows * TILE) // 2
        for place, number in enumerate(self.units):
            whole.paste(self._tiles[number], (place % ACROSS * TILE, top + place // ACROSS * TILE))
        buffer = io.BytesIO()
        whole.save(buffer, format="jpeg", quality=88)
        return buffer.getvalue()
