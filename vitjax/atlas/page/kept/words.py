"""Reads the words by which `vitjax analyze words` named the units of a CLIP."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from vitjax.errors import InputError, nearest
from vitjax.files import read_bytes

FILE, COLUMNS = "words.csv", ("unit", "word")


def read_words(path: str | Path, units: Sequence[str]) -> list[str | None]:
    """Gives the word of each of these units, None for those that the file does not name.

    Args:
        path: words.csv, or the folder that it is in; any table with the columns "unit" and "word".

    Raises:
        InputError: it cannot be read, has other columns, or names none of the units.
    """
    path = Path(path).expanduser()
    file = path / FILE if path.is_dir() else path
    rows = csv.DictReader(io.StringIO(read_bytes(file).decode("utf-8", "replace")))
    if missing := {*COLUMNS} - {*(rows.fieldnames or ())}:
        raise InputError(f"{file} has no column {min(missing)!r}: it should be what `vitjax analyze words` wrote")
    known = {row["unit"]: row["word"] for row in rows}
    found = [known.get(unit) or None for unit in units]
    if not any(found):
        one = next(iter(known), "")
        raise InputError(f"{file} names no unit of this atlas: it names {one!r}{nearest(one, units)}")
    return found
