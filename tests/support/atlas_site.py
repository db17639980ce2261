"""Small exported atlases for tests of the page: folders by docs/atlas_format.md, of flat pictures and hostile names."""

import base64
import functools
import io
import json
import math
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

from vitjax.atlas.page.export import page_files
from vitjax.atlas.page.named.shown import look

SIDE = 512  # pixels of a sheet
CELLS = (8, 16, 32, 64)
GRID = (4, 4)
PER = 64
COLOURS = 251  # different pictures
VERDICTS = ["good", "weak", "dead"]
HOSTILE = [
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(2)>",
    "../../etc/passwd",
    "line\u2028separator\u2029",
    "</script><script>alert(3)</script>",
    "long " * 60,
]
CLASSES = ["tabby cat", "tiger cat", "coffee mug", *HOSTILE]
COLUMNS = [
    {"key": "verdict", "label": "verdict", "kind": "word", "words": VERDICTS, "help": "All grades in one word."},
    {"key": "rise", "label": "rise", "help": "Activation over the best photograph's.", "digits": 2, "kind": "number",
     "better": "high", "main": 1},
    {"key": "rank", "label": "rank", "help": HOSTILE[0], "digits": 0, "kind": "number", "better": "low", "main": 2,
     "of_layer": True},
]  # fmt: skip
SILENT = 5  # the unit that hardly responds
TAPS = {f"blocks.{block}.mlp.hidden": [str(7 * i) for i in range(20)] for block in range(3)} | {
    "blocks.1.attn.z": ["0.3", "2.12"]
}


def colour(unit: int) -> tuple[int, int, int]:
    """The colour of the middle of a unit's picture."""
    place = unit % COLOURS
    return 30 + place * 89 % 200, 30 + place * 53 % 200, 30 + place * 37 % 200


@functools.cache
def picture(place: int, side: int) -> Image.Image:
    """The picture of units of this place among the colours: its colour, within a darker frame."""
    image = Image.new("RGB", (side, side), tuple(value // 2 for value in colour(place)))
    inner = side // 8
    image.paste(colour(place), (inner, inner, side - inner, side - inner))
    return image


@functools.cache
def encoded(place: int, side: int) -> bytes:
    """The picture as WebP."""
    data = io.BytesIO()
    picture(place, side).save(data, "WebP", quality=80)
    return data.getvalue()


def script(value: object, name: str) -> str:
    """A data file: a call that no name can leave."""
    text = json.dumps(value, ensure_ascii=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return f'vitjax.receive("{name}", {text});\n'


def write(folder: Path, name: str, value: object) -> None:
    """Writes data/NAME.js."""
    path = folder / "data" / f"{name}.js"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(script(value, name), encoding="utf-8")


def layers(taps: Mapping[str, Sequence[str]], columns: int) -> dict:
    """The layout by layer: a free row, then as many as a layer needs, for each layer."""
    cells, bands, unit = [], [], 0
    for tap, index in taps.items():
        rows = math.ceil(len(index) / columns)
        bands.append({"label": tap, "row": len(cells) // columns + 1, "rows": rows})
        cells += [-1] * columns + list(range(unit, unit + len(index))) + [-1] * (rows * columns - len(index))
        unit += len(index)
    return {"columns": columns, "rows": len(cells) // columns, "cells": cells, "bands": bands}


def scattered(count: int) -> dict:
    """A layout of all units in an order of chance."""
    columns = math.ceil(math.sqrt(count * 16 / 9))
    cells = [*range(count), *[-1] * (-count % columns)]
    random.Random(0).shuffle(cells)
    names = [{"text": "feline", "x": columns / 2, "y": 1.5, "kind": True}]
    return {"columns": columns, "rows": len(cells) // columns, "cells": cells, "bands": [], "names": names}


def heights(place: int) -> bytes:
    """A map of which the left half is not active, and the right half the less, the later the photograph comes."""
    return bytes(0 if column < 2 else 255 - 20 * place for _ in range(GRID[0]) for column in range(GRID[1]))


def detail(unit: int, name: str, count: int, photos: int) -> dict:
    """What the page of a unit shows."""
    chance = random.Random(unit)
    grades = {"verdict": VERDICTS[unit % 3], "rise": unit / 10, "rank": unit}
    tap, _, index = name.rpartition(":")
    pictures = [{"file": f"pictures/{tap}/{index}.webp", "made": "seed 0", "chosen": True, "grades": grades}]
    if unit % 5 == 0:
        other = {"file": f"pictures/{tap}/{index}.1.webp", "made": "seed 1", "chosen": False}
        pictures.append(other | {"grades": grades | {"verdict": "weak"}})
    near = [{"unit": chance.randrange(count), "likeness": 0.9 - i / 10, "same_layer": i < 3} for i in range(6)]
    if not photos:
        return {"unit": name, "pictures": pictures, "exemplars": [], "quantiles": [], "histogram": None,
                "near": {"looks": near}}  # fmt: skip
    exemplars = [
        {"photo": i % photos, "name": HOSTILE[(unit + i) % len(HOSTILE)], "class": CLASSES[(unit + i) % len(CLASSES)],
         "score": (2 - i / 10) * (unit != SILENT), "patch": (unit + i) % 16,
         "map": base64.b64encode(bytes(16) if unit == SILENT else heights(i)).decode()}
        for i in range(9)
    ]  # fmt: skip
    quantiles = [{"quantile": q, "photo": 0, "name": HOSTILE[0], "score": q} for q in (0.9, 0.5, 0.1)]
    histogram = {
        "edges": [i / 10 for i in range(-9, 10)],
        "counts": [max(0, 200 - 2 * (i - 8) ** 2) for i in range(20)],
    }
    return {"unit": name, "pictures": pictures, "exemplars": exemplars, "quantiles": quantiles,
            "scale": 3.14159 * (unit != SILENT), "histogram": histogram,
            "near": {"looks": near, "responses": near}}  # fmt: skip


def write_sheets(folder: Path, count: int) -> None:
    """Writes the tile pyramid of units 0 to `count`."""
    for cell in CELLS:
        across = SIDE // cell
        (folder / "sheets" / str(cell)).mkdir(parents=True)
        for number, first in enumerate(range(0, count, across**2)):
            sheet = Image.new("RGB", (SIDE, SIDE))
            for spot, unit in enumerate(range(first, min(first + across**2, count))):
                sheet.paste(picture(unit % COLOURS, cell), (spot % across * cell, spot // across * cell))
            sheet.save(folder / "sheets" / str(cell) / f"{number:05d}.webp", "WebP", quality=70, method=0)


def write_site(
    folder: Path,
    taps: Mapping[str, Sequence[str]] = TAPS,
    *,
    title: str = "A small atlas",
    side: int = 96,
    photos: int = 4,
    columns: int = 16,
    beside: Sequence[Mapping[str, str]] = (),
) -> Path:
    """Writes an exported atlas, page and all; returns its folder."""
    names = [f"{tap}:{index}" for tap, indices in taps.items() for index in indices]
    count, first, listed = len(names), 0, []
    for path, data in page_files():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    for tap, indices in taps.items():
        listed.append({"tap": tap, "first": first, "count": len(indices), "layer_units": 768})
        entries = [detail(first + i, f"{tap}:{index}", count, photos) for i, index in enumerate(indices)]
        for part in range(0, len(entries), PER):
            write(folder, f"detail/{tap}/{part // PER:04d}", entries[part : part + PER])
        (folder / "pictures" / tap).mkdir(parents=True)
        for unit, entry in enumerate(entries, first):
            for one in entry["pictures"]:
                (folder / one["file"]).write_bytes(encoded(unit % COLOURS, side))
        first += len(indices)
    write_sheets(folder, count)
    (folder / "photos").mkdir()
    for photo in range(photos):
        (folder / "photos" / f"{photo:06d}.webp").write_bytes(encoded(100 + photo, 64))
    write(folder, "layout-layers", layers(taps, columns))
    write(folder, "layout-looks", scattered(count))
    write(folder, "units", {
        "index": [name.rpartition(":")[2] for name in names],
        "columns": {
            "verdict": [unit % 3 for unit in range(count)],
            "rise": [None if unit % 11 == 10 else unit / 10 for unit in range(count)],
            "rank": list(range(count)),
        },
        "classes": [[unit % len(CLASSES)] if photos else [] for unit in range(count)],
        "duplicate": [unit - 1 if unit % 20 == 19 else None for unit in range(count)],
        "silent": [SILENT] if photos else [],
        "words": {"names": ["red wheels"], "of": [0 if unit == 8 else None for unit in range(count)]},
    })  # fmt: skip
    known = [unit for unit in range(count) if photos and unit != SILENT]
    members = [[n for unit in known if unit % len(CLASSES) == place for n in (unit, 1 + unit % 9)]
               for place in range(len(CLASSES))]  # fmt: skip
    write(folder, "classes", {"photographs": 9, "classes": CLASSES, "units": members,
                              "kinds": [{"name": "feline", "also": ["felid"], "of": [0, 1]}]})  # fmt: skip
    if photos:
        write(folder, "photographs", {
            "side": 8, "numbers": list(range(photos)), "classes": [CLASSES[0], *[None] * (photos - 1)],
            "looks": [look(encoded(100 + photo, 64)) for photo in range(photos)],
            "units": [[61, 0, 7, 4], *[[]] * (photos - 1)],
        })  # fmt: skip
    write(folder, "atlas", {
        "schema": 2, "title": title, "model": {"source": HOSTILE[0], "architecture": "vit", "licence": "apache-2.0"},
        "recipe": {"name": "default", "fields": {"steps": 3}}, "seeds": [0], "image_size": [side, side],
        "versions": {"vitjax": "0"}, "data": {"source": HOSTILE[2], "images": photos} if photos else None,
        "count": count, "taps": listed, "columns": COLUMNS, "classes": CLASSES,
        "sheets": {"side": SIDE, "cells": list(CELLS)}, "detail": {"per": PER}, "grid": list(GRID),
        "layouts": [{"key": "layers", "label": "by layer"}, {"key": "looks", "label": "by looks"}],
        "tables": ["units"], "asked_by_photograph": photos > 0,
        "beside": list(beside),
    })  # fmt: skip
    return folder
