"""Writes values as the scripts that the page reads: a call with a JSON literal each, which no text can break out of.

A page opened from disk may not fetch, but it may load scripts; hence `vitjax.receive("NAME", {...});`.
"""

import base64
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from vitjax.analysis.photographs.likeness import Neighbour
from vitjax.atlas.page.contents import Column, Contents, Exemplar, Histogram, Layout, Picture, Quantile, Region
from vitjax.files import parse_json

T = TypeVar("T")
SCHEMA = 2
PER_DETAIL = 64  # units of a tap that share one file of details

# What could end a script, begin a comment or break a line of one: written as escapes, which mean the same in JSON.
_ESCAPES = str.maketrans({char: f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"})
_AS_IT_IS = {str, int, bool, type(None)}


def script(name: str, value: object) -> bytes:
    """Writes the script that hands `value` to the page under `name`: ASCII, numbers of 6 digits, NaN and ∞ as null."""
    call = f"vitjax.receive({_literal(name)}, {_literal(plain(value))});\n"
    return call.encode("ascii")


def unscript(data: bytes, where: str, kind: type[T] = dict[str, Any]) -> T:
    """Reads what a script of ours hands to the page, held against a type; raises InputError for any other script."""
    return parse_json(data.partition(b", ")[2].removesuffix(b");\n"), where, kind)


def plain(value: Any) -> Any:
    """Puts a value into JSON's types: no NumPy, no NaN, floats cut to 6 significant digits, other things as text."""
    kind = type(value)  # the common types first: an atlas has millions of numbers
    if kind is float:
        return float(f"{value:.6g}") if math.isfinite(value) else None
    if kind in _AS_IT_IS:
        return value
    if kind is list or kind is tuple:
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    return str(value)


def _literal(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False).translate(_ESCAPES)


def atlas(contents: Contents, sheets: Mapping[str, object], lossless: bool = False) -> dict[str, object]:
    """Describes the atlas, for data/atlas.js; `sheets` says how the thumbnails lie, `lossless` that PNGs are there."""
    return {
        "schema": SCHEMA,
        "title": contents.title,
        "model": contents.model,
        "recipe": contents.recipe,
        "seeds": contents.seeds,
        "image_size": contents.image_size,
        "versions": contents.versions,
        "data": contents.data,
        "count": len(contents.units),
        "taps": [
            {"tap": tap.tap, "first": tap.first, "count": tap.count}
            | ({"layer_units": contents.layer_units[tap.tap]} if tap.tap in contents.layer_units else {})
            for tap in contents.taps
        ],
        "columns": [_column(column) for column in contents.columns],
        "classes": class_names(contents),
        "sheets": sheets,
        "detail": {"per": PER_DETAIL},
        "grid": contents.grid,
        "layouts": [{"key": layout.key, "label": layout.label} for layout in contents.layouts],
        "tables": sorted(contents.tables),
        "lossless": lossless,
        "asked_by_photograph": contents.photo is not None,
        "beside": list(contents.beside),
        "further": sorted(contents.further),
    }


def _column(column: Column) -> dict[str, object]:
    about = {"key": column.key, "label": column.label, "help": column.help}
    if column.words is not None:
        about |= {"kind": "word", "words": list(column.words)}
    else:
        about |= {"kind": "number", "digits": column.digits}
    return about | {name: value for name in ("better", "main", "of_layer") if (value := getattr(column, name))}


def class_names(contents: Contents) -> list[str]:
    """Lists every class that some unit has, sorted."""
    return sorted({name for names in contents.classes for name in names})


def units(contents: Contents) -> dict[str, object]:
    """Lists the values of each column in the order of unit numbers, for data/units.js."""
    count = len(contents.units)
    places = {name: place for place, name in enumerate(class_names(contents))}
    columns: dict[str, list] = {}
    for column in contents.columns:
        values = plain(list(column.values))
        if column.words is not None:
            known = {word: place for place, word in enumerate(column.words)}
            values = [None if value is None else known[value] for value in values]
        columns[column.key] = values
    return {
        "index": [unit.rpartition(":")[2] for unit in contents.units],
        "columns": columns,
        "classes": [[places[name] for name in names] for names in contents.classes] or [[]] * count,
        "duplicate": plain(list(contents.duplicate)) or [None] * count,
        "silent": list(contents.silent),
        **({"words": _words(contents.words)} if contents.words else {}),
    }


def _words(words: Sequence[str | None]) -> dict[str, object]:
    names = sorted({word for word in words if word is not None})
    places = {name: place for place, name in enumerate(names)}
    return {"names": names, "of": [None if word is None else places[word] for word in words]}


def layout(laid: Layout, regions: Sequence[Region] = ()) -> dict[str, object]:
    """Says where units lie and what regions are called, for data/layout-KEY.js."""
    bands = [{"label": band.label, "row": band.row, "rows": band.rows} for band in laid.bands]
    names = [{"text": one.text, "x": one.x, "y": one.y, "kind": one.kind} for one in regions]
    called = {"names": names} if names else {}
    return {"columns": laid.columns, "rows": laid.rows, "cells": laid.cells, "bands": bands, **called}


def detail(
    contents: Contents,
    number: int,
    pictures: Sequence[Picture],
    files: Sequence[str],
    kinds: Sequence[tuple[str, int]] = (),
) -> dict[str, object]:
    """Collects all that the page of a unit shows.

    Args:
        files: the addresses of its `pictures`.
        kinds: what many of its photographs are, with how many.
    """
    histogram = contents.histogram(number)
    exemplars = contents.exemplars(number)
    scale = max((float(np.nanmax(one.map, initial=0)) for one in exemplars if one.map is not None), default=None)
    return {
        "unit": contents.units[number],
        "pictures": [
            {"file": file, "made": picture.made, "chosen": picture.chosen, "grades": picture.grades}
            for file, picture in zip(files, pictures, strict=True)
        ],
        "exemplars": [_exemplar(found, contents.grid, scale) for found in exemplars],
        "scale": scale,
        **({"kinds": kinds} if kinds else {}),
        "quantiles": [_quantile(found) for found in contents.quantiles(number)],
        "histogram": None if histogram is None else _histogram(histogram),
        "near": {kind: [_neighbour(found) for found in near] for kind, near in contents.near(number).items()},
    }


def _exemplar(found: Exemplar, grid: tuple[int, int], scale: float | None) -> dict[str, object]:
    own = grid if found.map is None else found.map.shape
    return {
        "photo": found.photo,
        "name": found.name,
        "class": found.label,
        "score": found.score,
        "patch": found.patch,
        "map": None if found.map is None else _bytes(found.map, scale),
        **({} if tuple(own) == tuple(grid) else {"grid": own}),
    }


def _bytes(heights: np.ndarray, scale: float) -> str:
    """Writes a map as base64, a byte a value: 255 for `scale`, 0 for 0 and less and where there is no number."""
    shares = np.nan_to_num(np.asarray(heights, np.float64)) * (255 / scale if scale > 0 else 0)
    return base64.b64encode(np.rint(np.clip(shares, 0, 255)).astype(np.uint8).tobytes()).decode()


def _quantile(found: Quantile) -> dict[str, object]:
    return {"quantile": found.quantile, "photo": found.photo, "name": found.name, "score": found.score}


def _histogram(found: Histogram) -> dict[str, object]:
    return {"edges": found.edges, "counts": found.counts}


def _neighbour(found: Neighbour) -> dict[str, object]:
    return {"unit": found.unit, "likeness": found.likeness, "same_layer": found.same_layer}
