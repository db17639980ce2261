"""Directions as they are kept: one `.npz` of their arrays, with what they were made from as JSON in an array of bytes.

Members: "vectors" and "patterns" [direction, unit], "mean" [unit], float32, in the tap's own space; "about", UTF-8.
"""

import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vitjax.errors import InputError
from vitjax.files import held, parse_json, write_whole
from vitjax.models.dictionaries.directions import Along, Directions, Made
from vitjax.weights.cache import digest
from vitjax.weights.formats.open import open_file

VERSION = "vitjax_directions"  # a key of what stands in "about"
ARRAYS = ("vectors", "patterns", "mean")
SUFFIX = ".npz"


def save_directions(path: str | os.PathLike[str], directions: Directions, about: Mapping[str, Any]) -> None:
    """Writes directions and what they were made from.

    Args:
        path: of the file.
        directions: what is kept.
        about: what `Made` needs, "method", "model" as `provenance` gives it, and "labels"; and whatever else was said.

    Raises:
        InputError: it cannot be written.
    """
    write_whole(path, packed(directions, about))


def packed(directions: Directions, about: Mapping[str, Any]) -> bytes:
    """The bytes of a file of directions; see `save_directions`."""
    form = directions.form
    head = {VERSION: 1, "tap": form.tap, "units": form.units, "name": form.name, **about}
    arrays = {name: np.asarray(directions.arrays[name][...], np.float32) for name in ARRAYS}
    data = io.BytesIO()
    np.savez(data, about=np.frombuffer(json.dumps(head, indent=1).encode(), np.uint8), **arrays)
    return data.getvalue()


def is_directions(path: Path) -> bool:
    """Whether a file may be one of directions: an `.npz` that has what these have."""
    return path.suffix == SUFFIX and path.is_file() and {"about", *ARRAYS} <= set(open_file(path))


def read_directions(path: str | os.PathLike[str], name: str | None = None) -> Directions:
    """Reads what `save_directions` wrote; nothing in it is executed.

    Args:
        path: of the file.
        name: of the set in place of its own.

    Raises:
        InputError: no such file, another one, or a damaged one.
    """
    path = Path(path).expanduser()
    tensors = open_file(path)
    if missing := {"about", *ARRAYS} - set(tensors):
        raise InputError(
            f"{path} is no file of directions, it has no {min(missing)}: make one by `vitjax analyze directions`"
        )
    about = parse_json(tensors.read("about").tobytes(), f"{path}: about")
    if about.get(VERSION) != 1:
        raise InputError(f"{path} is of version {about.get(VERSION)}, 1 is read")
    said = lambda key, kind: held(about.get(key), f"{path}: {key}", kind)
    model = said("model", dict[str, Any])
    card = Made(
        str(path),
        digest(path),
        said("method", str),
        str(model.get("source", "")),
        str(model.get("sha256", "")),
        tuple(said("labels", list[str])),
    )
    form = Along(said("tap", str), tuple(said("units", list[int])), said("name", str) if name is None else name)
    try:
        found = Directions(form, *(tensors.read(array) for array in ARRAYS), card)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    if len(card.labels) not in (0, len(found)):
        raise InputError(f"{path} has {len(card.labels)} labels for {len(found)} directions")
    return found
