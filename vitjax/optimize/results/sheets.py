"""Lays pictures out on one labelled sheet."""

import math
import re
from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vitjax.data.pixels import shown

MARGIN = 220  # pixels at most that labels of rows take
_PAPER, _INK = (255, 255, 255), (70, 70, 70)


def contact_sheet(images: Iterable[np.ndarray], captions: Sequence[str], columns: int, least: int = 112) -> Image.Image:
    """Lays pictures out in rows with a caption under each; pictures smaller than `least` pixels are enlarged."""
    images = [Image.fromarray(np.ascontiguousarray(shown(image))) for image in images]
    factor = math.ceil(least / min(images[0].size))
    width, height = (side * factor for side in images[0].size)
    gap, font = 8, ImageFont.load_default(size=11)
    line = 18
    rows = math.ceil(len(images) / columns)
    sheet = Image.new("RGB", (columns * (width + gap) + gap, rows * (height + line + gap) + gap), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for i, (image, text) in enumerate(zip(images, captions, strict=True)):
        x, y = gap + i % columns * (width + gap), gap + i // columns * (height + line + gap)
        sheet.paste(image.resize((width, height), Image.Resampling.NEAREST), (x, y))
        draw.text((x, y + height + 2), _fitted(text, width, font), fill=_INK, font=font)
    return sheet


def table_sheet(
    cells: Sequence[Sequence[np.ndarray | None]],
    rows: Sequence[str],
    columns: Sequence[str],
    captions: Sequence[Sequence[str]],
    least: int = 112,
) -> Image.Image:
    """Lays pictures out in rows and columns that have labels, with a caption under each; None is left blank."""
    held = [
        [None if cell is None else Image.fromarray(np.ascontiguousarray(shown(cell))) for cell in row] for row in cells
    ]
    size = next(cell.size for row in held for cell in row if cell)
    factor = math.ceil(least / min(size))
    width, height = (side * factor for side in size)
    gap, line, font = 8, 18, ImageFont.load_default(size=11)
    left = gap + math.ceil(min(MARGIN, max(map(font.getlength, rows))))
    sheet = Image.new(
        "RGB", (left + len(columns) * (width + gap) + gap, gap + line + len(rows) * (height + line + gap)), _PAPER
    )
    draw = ImageDraw.Draw(sheet)
    for j, text in enumerate(columns):
        draw.text((left + gap + j * (width + gap), gap), _cut(text, width, font), fill=_INK, font=font)
    for i, text in enumerate(rows):
        y = gap + line + i * (height + line + gap)
        draw.text((gap, y + height // 2 - line // 2), _cut(text, left - gap, font), fill=_INK, font=font)
        for j, cell in enumerate(held[i]):
            x = left + gap + j * (width + gap)
            if cell:
                sheet.paste(cell.resize((width, height), Image.Resampling.NEAREST), (x, y))
                draw.text((x, y + height + 2), _cut(captions[i][j], width, font), fill=_INK, font=font)
    return sheet


def _cut(text: str, width: float, font: ImageFont.ImageFont) -> str:
    """As much of a text as there is room for."""
    whole = text
    while text and font.getlength(whole) > width:
        text = text[:-1]
        whole = f"{text}…"
    return whole


def _fitted(text: str, width: int, font: ImageFont.ImageFont) -> str:
    """A caption `TAP:INDEX  VALUE` with as much of the tap, or of another name, as there is room for."""
    name, end = re.fullmatch(r"(.*?)((?::[\d.]+(?:#\d+)?)?(?:  .*)?)", text).groups()
    while name and font.getlength(text) > width:
        name = name[:-1]
        text = f"{name}…{end}"
    return text


def columns_for(taps: Sequence[str]) -> int:
    """Columns of a sheet: the taps' common count, so that each tap has its row, else about a square."""
    counts = {taps.count(tap) for tap in set(taps)}
    if len(counts) == 1 and len(set(taps)) > 1 and max(counts) <= 16:
        return counts.pop()
    return min(len(taps), max(1, math.ceil(math.sqrt(1.3 * len(taps)))))
