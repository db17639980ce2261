"""Lays pictures out on one labelled sheet."""

import math
import re
from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vitjax.data.pixels import shown

MARGIN = 220  # pixels at most that lines of the labels of rows take
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
    labels, heads = ([_lines(text, room, font) for text in some] for some, room in ((rows, MARGIN), (columns, width)))
    left = gap + math.ceil(max(font.getlength(part) for lines in labels for part in lines))
    top = gap + line * max(map(len, heads))
    sheet = Image.new(
        "RGB", (left + len(columns) * (width + gap) + gap, top + len(rows) * (height + line + gap)), _PAPER
    )
    draw = ImageDraw.Draw(sheet)
    for j, lines in enumerate(heads):
        draw.text((left + gap + j * (width + gap), gap), "\n".join(lines), fill=_INK, font=font)
    for i, lines in enumerate(labels):
        y = top + i * (height + line + gap)
        draw.text((gap, y + max(0, height - line * len(lines)) // 2), "\n".join(lines), fill=_INK, font=font)
        for j, cell in enumerate(held[i]):
            x = left + gap + j * (width + gap)
            if cell:
                sheet.paste(cell.resize((width, height), Image.Resampling.NEAREST), (x, y))
                draw.text((x, y + height + 2), _cut(captions[i][j], width, font), fill=_INK, font=font)
    return sheet


def _lines(text: str, width: float, font: ImageFont.ImageFont) -> list[str]:
    """A label in lines of a width, broken between words, else after a dot or colon, and where nothing else helps."""
    lines = [""]
    for piece in re.findall(r"[^ .:]*[ .:]?", text):
        if lines[-1] and font.getlength((lines[-1] + piece).rstrip()) > width:
            lines.append("")
        lines[-1] += piece
        while font.getlength(lines[-1].rstrip()) > width:
            fits = next(n for n in range(len(lines[-1]) - 1, 0, -1) if n == 1 or font.getlength(lines[-1][:n]) <= width)
            lines[-1:] = [lines[-1][:fits], lines[-1][fits:]]
    return [line.rstrip() for line in lines if line.strip()] or [""]


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
