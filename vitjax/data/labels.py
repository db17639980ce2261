"""Images in, the class of each out: from a table's column, a list beside them, their names or their folders."""

import csv
import io
import json
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Int

from vitjax.data.images import Images
from vitjax.errors import InputError, nearest

_NUMBERED = re.compile(r"(\d+)_")
ANNOTATIONS = "val_annotations.txt"


def labels(images: Images, classes: int, listed: Path | None = None) -> Int[np.ndarray, " image"]:
    """The class of every image, as the model's head counts them.

    Where they come from, the first that is there: `listed`; the label column of a parquet table; Tiny ImageNet's
    `val_annotations.txt` among the images; a number before the first underscore of every file's name (`0042_cat.jpg`);
    one folder for each class of the head, in the order of their names. Classes given by name, as WordNet ids, are
    counted in the order of their names.

    Args:
        images: the data set.
        classes: how many the model's head has.
        listed: a .csv, .tsv or .json file: rows of image name (or file name) and class, or {name: class}.

    Raises:
        InputError: nothing says the classes, an image without one, or a class that the head lacks.
    """
    if not classes:
        raise InputError("this model has no head, so images have no classes for it")
    if listed is not None:
        found = _looked_up(images, _read(listed), str(listed))
    elif images.column is not None:
        found = list(images.column)
    elif ANNOTATIONS in {PurePosixPath(name).name for name in images.texts}:
        text = next(text for name, text in images.texts.items() if PurePosixPath(name).name == ANNOTATIONS)
        found = _looked_up(images, dict(line.split("\t")[:2] for line in text.splitlines()), ANNOTATIONS)
    elif all(_NUMBERED.match(PurePosixPath(name).name) for name in images.names):
        found = [int(_NUMBERED.match(PurePosixPath(name).name)[1]) for name in images.names]
    else:
        found = _folders(images, classes)
    return _numbers(found, images, classes)


def _read(path: Path) -> Mapping[str, str | int]:
    if not path.exists():
        raise InputError(f"{path} does not exist")
    text = path.read_text()
    if path.suffix == ".json":
        try:
            rows = json.loads(text)
        except ValueError as error:
            raise InputError(f"{path} is not readable as JSON: {error}") from None
        if not isinstance(rows, dict):
            raise InputError(f"{path} must hold an object, image name: class")
        return rows
    separator = "," if path.suffix == ".csv" else "\t"
    rows = [row for row in csv.reader(io.StringIO(text), delimiter=separator) if row]
    if short := next((row for row in rows if len(row) < 2), None):
        raise InputError(f"{path}: the row {separator.join(short)!r} does not hold an image and its class")
    return {row[0]: row[1] for row in rows}


def _looked_up(images: Images, listed: Mapping[str, str | int], where: str) -> list[str | int]:
    found = [listed.get(name, listed.get(PurePosixPath(name).name)) for name in images.names]
    if None in found:
        name = images.names[found.index(None)]
        raise InputError(f"{where} has no class for {name} ({found.count(None)} images){nearest(name, listed)}")
    return found


def _folders(images: Images, classes: int) -> list[str]:
    parents = [PurePosixPath(name).parent.name for name in images.names]
    count = len(set(parents))
    if count != classes:
        raise InputError(
            f"nothing says the classes of the images in {images.source}: {count} folders for {classes} classes of the"
            " head; give a file of names and classes with --labels"
        )
    return parents


def _numbers(found: list, images: Images, classes: int) -> np.ndarray:
    if not all(str(value).lstrip("-").isdigit() for value in found):
        order = {name: i for i, name in enumerate(sorted({str(value) for value in found}))}
        if len(order) != classes:
            raise InputError(f"{images.source} has {len(order)} classes by name, the head has {classes}: which are they?")
        found = [order[str(value)] for value in found]
    numbers = np.array([int(value) for value in found], np.int32)
    wrong = np.flatnonzero((numbers < 0) | (numbers >= classes))
    if len(wrong):
        name, number = images.names[wrong[0]], numbers[wrong[0]]
        raise InputError(f"{name} is of class {number}, the head has {classes} (0-{classes - 1})")
    return numbers
