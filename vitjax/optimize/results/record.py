"""What a folder of pictures says of itself: its `pictures.json`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vitjax.errors import InputError
from vitjax.optimize.recipes import Recipe, fields

RECORD = "pictures.json"


def read_record(folder: Path) -> dict:
    """Reads a folder's `pictures.json`; an empty dict where there is none."""
    path = folder / RECORD
    if not path.exists():
        return {}
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise InputError(f"{path} is not readable as JSON ({error}); move it away or choose another folder") from None


def known_record(folder: Path, settings: Mapping) -> dict:
    """Reads a folder's record, refusing one that other settings made: one record speaks for all its pictures."""
    record = read_record(folder)
    record = record and {"dtype": dtype_of(record)} | record
    for key, value in settings.items():
        if record and _same(key, record[key]) != _same(key, value):
            raise InputError(
                f"{folder} holds pictures with another {key} ({record[key]}, not {value}); choose another folder"
            )
    return record


def dtype_of(record: Mapping) -> str:
    """The dtype in which the pictures of a folder's record were made: where it tells none, what was the default."""
    return record.get("dtype", "float32")


def _same(key: str, value: Any) -> Any:
    """What has to be equal: of a model its weights, wherever they lie; of a recipe also what it does not mention."""
    if key == "model" and value.get("sha256"):
        return {name: fact for name, fact in value.items() if name not in ("source", "revision")}
    return fields(Recipe()) | value if key == "recipe" else value
