"""Images in, the class of each out: from a table's column, a list beside them, their folders or their names."""

import csv
import io
import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
from jaxtyping import Int

from vitjax.data.images import ENDINGS, Images, folder
from vitjax.errors import InputError, nearest

ANNOTATIONS = "val_annotations.txt"
_NUMBERED = re.compile(r"(?:.*/)?(\d+)_[^/]*")
_NUMBER = re.compile(r"-?\d+")
_SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": " "}
_SEARCHED = 10_000  # names among which the nearest is looked for, half a second's work

Classes = Mapping[str, str | int]
T = TypeVar("T")


def labels(images: Images, classes: int, listed: Path | None = None) -> Int[np.ndarray, " image"]:
    """The class of every image, as the model's head counts them.

    Where they come from, the first that is there: `listed`; the label column of a parquet table; Tiny ImageNet's
    `val_annotations.txt` among the images; one folder for each class of the head; a number before the first underscore
    of every file's name (`0042_cat.jpg`). Classes given by name, as WordNet ids, are counted in the order of the names,
    and all of them must be there: in the list, or in the whole data set where `images` is a part of it.

    Args:
        images: the data set.
        classes: how many the model's head has.
        listed: a .csv, .tsv or .txt (separated by blanks) file: rows of image name, or file name, and class; or a .json
            file, {name: class}.

    Raises:
        InputError: nothing says the classes, an image without one, or a class that the head lacks.
    """
    if not classes:
        raise InputError("this model has no head, so images have no classes for it")
    annotations = next((name for name in images.texts if os.path.basename(name) == ANNOTATIONS), None)
    if listed is not None:
        rows = _read(Path(listed).expanduser())
        found, known, where = _looked_up(images, rows, str(listed)), _names(rows, images), str(listed)
    elif images.column is not None:
        found, known, where = images.column.tolist(), (), images.source
    elif annotations:
        rows = _rows(images.texts[annotations], "\t", annotations)
        found, known, where = _looked_up(images, rows, annotations), _names(rows, images), annotations
    elif len(images.folders) == classes:
        found, known, where = map(folder, images.names), images.folders, images.source
    elif all(numbered := [_NUMBERED.fullmatch(name) for name in images.names]):
        found, known, where = (match[1] for match in numbered), (), images.source
    else:
        raise InputError(
            f"nothing says the classes of the images in {images.source}: {len(images.folders)} folders for {classes}"
            " classes of the head; give a file of names and classes with --labels"
        )
    return _checked(_numbers([str(value).strip() for value in found], known, classes, where), images, classes)


def class_names(path: Path) -> list[str]:
    """What the classes are called, in their order, from a JSON list or a text file with a name on each line.

    Raises:
        InputError: the file cannot be read, or is neither.
    """
    names = _parsed(path, str.splitlines)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InputError(f"{path} must hold a list of names, one for each class")
    return names


def _read(path: Path) -> Classes:
    if path.suffix not in (".json", *_SEPARATORS):
        raise InputError(f"{path} is no list of classes: .csv, .tsv, .txt or .json would be")
    rows = _parsed(path, lambda text: _rows(text, _SEPARATORS[path.suffix], str(path)))
    if not isinstance(rows, dict):
        raise InputError(f"{path} must hold an object, image name: class")
    return rows


def _parsed(path: Path, read: Callable[[str], T]) -> T:
    """What a JSON file holds, or what `read` makes of the text of another."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        return json.loads(text) if path.suffix == ".json" else read(text)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"{path} is not readable as {path.suffix[1:].upper() or 'text'}: {error}") from None


def _rows(text: str, separator: str, where: str) -> Classes:
    try:
        rows = [row for row in csv.reader(io.StringIO(text), delimiter=separator) if any(map(str.strip, row))]
    except csv.Error as error:
        raise InputError(f"{where} is not readable: {error}") from None
    if short := next((row for row in rows if len(row) < 2), None):
        raise InputError(f"{where}: the row {separator.join(short)!r} does not hold an image and its class")
    listed = {}
    for name, kind, *_ in rows:
        if listed.setdefault(name.strip(), kind) != kind:
            raise InputError(f"{where} gives {name.strip()} two classes, {listed[name.strip()]} and {kind}")
    return listed


def _looked_up(images: Images, listed: Classes, where: str) -> list[str | int]:
    found = [listed.get(name, listed.get(os.path.basename(name))) for name in images.names]
    if None in found:
        name = images.names[found.index(None)]
        close = nearest(name, islice(listed, _SEARCHED))
        raise InputError(f"{where} has no class for {name} ({found.count(None)} of {len(found)} images){close}")
    return found


def _names(listed: Classes, images: Images) -> set[str]:
    """The classes of a list, without what its head says ("image,class") where it has one."""
    first = next(iter(listed), "")
    named = first in images.names or first in map(os.path.basename, images.names)
    is_head = not named and os.path.splitext(first)[1].lower() not in ENDINGS
    return {str(kind).strip() for kind in islice(listed.values(), int(is_head), None)}


def _numbers(found: list[str], known: Iterable[str], classes: int, where: str) -> list[int]:
    """Classes by number: those given by name are counted in the order of the `known` names."""
    if all(map(_NUMBER.fullmatch, found)):
        return list(map(int, found))
    order = {name: i for i, name in enumerate(sorted(known))}
    if len(order) != classes:
        raise InputError(
            f"{where} names {len(order)} classes, the head has {classes}: give their numbers with --labels"
        )
    return [order[name] for name in found]


def _checked(found: list[int], images: Images, classes: int) -> np.ndarray:
    wrong = next((i for i, number in enumerate(found) if not 0 <= number < classes), None)
    if wrong is not None:
        name, number = images.names[wrong], found[wrong]
        raise InputError(f"{name} is of class {number}, the head has {classes} (0-{classes - 1})")
    return np.array(found, np.int32)
