"""Draws contact sheets of thumbnails in the order of unit numbers: PNGs for papers, several of a large tap."""

import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, PngImagePlugin

from vitjax.atlas.page.contents import Tap
from vitjax.optimize.results.sheets import contact_sheet

# Units on a sheet, and the side of their pictures: a sheet is about 2,300 pixels wide, a page's width in print.
_FEW, _LARGE = 256, 128
_MANY, _SMALL = 1024, 64


@dataclass(eq=False)
class ContactSheets:
    """Contact sheets, filled unit by unit.

    Attributes:
        taps: the taps, in order.
        text: what each PNG says of itself, besides its tap and its units.
    """

    taps: Sequence[Tap]
    text: Mapping[str, str]
    _images: list[np.ndarray] = field(default_factory=list, repr=False)
    _indices: list[str] = field(default_factory=list, repr=False)
    _tap: int = 0
    _done: int = 0  # units of the tap that lie on earlier sheets

    def add(self, index: str, pictures: Mapping[int, Image.Image]) -> Iterator["ContactSheet"]:
        """Adds the next unit's thumbnails under its index; gives the sheet that is full with it."""
        tap = self.taps[self._tap]
        most, side = (_FEW, _LARGE) if tap.count <= _FEW else (_MANY, _SMALL)
        picture = pictures[min(side, max(pictures))]
        if picture.mode == "RGBA":  # what the picture leaves of its cell is transparent
            picture = picture.crop(picture.getbbox()).convert("RGB")
        self._images.append(np.asarray(picture))
        self._indices.append(index)
        full = len(self._images) == most
        last = self._done + len(self._images) == tap.count
        if full or last:
            number = self._done // most + 1 if tap.count > most else None
            yield ContactSheet(tap.tap, number, self._images, self._indices, side, self.text)
            self._done = 0 if last else self._done + most
            self._tap += last
            self._images, self._indices = [], []


@dataclass(frozen=True, eq=False)
class ContactSheet:
    """One sheet: the tap, its number where the tap has several, pictures and indices, the pictures' side on it."""

    tap: str
    number: int | None
    images: Sequence[np.ndarray]
    indices: Sequence[str]
    side: int
    text: Mapping[str, str]

    @property
    def file(self) -> str:
        """The path in the exported folder."""
        return f"contact/{self.tap}{'' if self.number is None else f'.{self.number}'}.png"

    def png(self) -> bytes:
        """Draws the sheet, captions under the pictures, with tap, units and `text` in its text chunks."""
        columns = math.ceil(math.sqrt(len(self.images)))
        sheet = contact_sheet(self.images, self.indices, columns, self.side)
        text = PngImagePlugin.PngInfo()
        units = f"{self.tap}:{self.indices[0]} … {self.tap}:{self.indices[-1]}"
        for key, value in {"tap": self.tap, "units": units, **self.text}.items():
            text.add_itxt(key, value.encode("utf-8", "replace"))  # file names can hold what UTF-8 has no bytes for
        buffer = io.BytesIO()
        sheet.save(buffer, format="png", pnginfo=text, compress_level=4)
        return buffer.getvalue()
