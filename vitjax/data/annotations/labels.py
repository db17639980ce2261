"""Finds the class of every image: in a table's column, a list beside them, their folders or their names."""

import csv
import io
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from jaxtyping import Int

from vitjax.data.annotations.class_order import NUMBER, Order, folder_order, order
from vitjax.data.files.formats import endings
from vitjax.data.files.images import Images, folder
from vitjax.data.files.paths import paired
from vitjax.data.files.readers import given
from vitjax.errors import InputError, nearest, printable
from vitjax.files import parse_json, read_bytes
from vitjax.models.core.class_names import NAMELESS, WNID, ClassNames
from vitjax.weights.class_lists import decoded

ANNOTATIONS = "val_annotations.txt"
LARGEST = 2**28  # bytes of a list; one of ImageNet's 14 million photographs would be larger
_NUMBERED = re.compile(r"(?:.*/)?(\d+)[_-]([^/]+)\.[^./]+")
_INDEXED = re.compile(rf"(?:.*/)?(\d+)[_-]({WNID.pattern})(?!\d)[^/]*")
_SEPARATORS = {".csv": ",;\t", ".tsv": "\t", ".txt": " \t,;"}
_SEARCHED = 10_000  # names among which the nearest is looked for, half a second's work

Classes = Mapping[str, str | int]


@dataclass(frozen=True)
class Labels:
    """The class of every image.

    Attributes:
        numbers: as the model's head counts them.
        said: where they come from and how they were counted, in words.
        guessed: whether the order of the classes is that of their names alone.
    """

    numbers: Int[np.ndarray, " image"]
    said: str
    guessed: bool = False


def labels(
    images: Images, classes: int, listed: Path | None = None, names: ClassNames = NAMELESS
) -> Int[np.ndarray, " image"]:
    """Finds the class of every image, as the model's head counts them; see `labelled`."""
    return labelled(images, classes, listed, names).numbers


def labelled(images: Images, classes: int, listed: Path | None = None, names: ClassNames = NAMELESS) -> Labels:
    """Finds the class of every image, as the model's head counts them, and says how.

    Where they come from, the first that is there: `listed`; the label column of a parquet table; Tiny ImageNet's
    `val_annotations.txt` among the images; folders called as classes (see `folder_order`); files named by a number and
    what bears it out, `0207_n02099601_golden_retriever.jpg` or, where the model's classes have names, one of these.
    What is no number is held against `names`; only of a model without names, texts are counted in their own order, if
    there is one for each class and the order is in no doubt: in the list, or in the whole data set where `images` is a
    part of it.

    Args:
        images: the data set.
        classes: how many the model's head has.
        listed: a .csv, .tsv or .txt file: rows of image name, or file name, and class; or a .json file, {name: class}.
        names: what the model's classes are called.

    Raises:
        InputError: nothing says the classes, an image without one, a class that the head lacks, or classes that may be
            meant in several ways.
    """
    if not classes:
        raise InputError("this model has no head, so images have no classes for it")
    annotations = next((name for name in images.texts if os.path.basename(name) == ANNOTATIONS), None)
    if listed is not None:
        rows = _read(given(listed, "list of classes"), images)
        return _from_list(images, rows, str(listed), classes, names)
    if images.column is not None:
        return _from_column(images, classes, names)
    if annotations:
        return _from_list(images, _rows(images.texts[annotations], "\t", annotations), annotations, classes, names)
    trouble = None
    try:
        if found := folder_order(images.folders, classes, names, images.source):
            said, order = found
            return _checked([said[folder(name)] for name in images.names], order, images, classes, "folders")
    except InputError as error:
        trouble = error
    if found := _from_names(images, classes, names):
        return found
    raise trouble or InputError(
        f"nothing says the classes of the images in {images.source}: {len(set(images.folders) - {''})} folders for"
        f" {classes} classes of the head, and files such as {os.path.basename(images.names[0])};"
        " give a file of names and classes with --labels"
    )


def listed_kinds(images: Images, listed: Path) -> set[str]:
    """All that a list of images and classes calls classes.

    Raises:
        InputError: it is not readable.
    """
    return _names(_read(given(listed, "list of classes"), images), images)


def _from_list(images: Images, rows: Classes, where: str, classes: int, names: ClassNames) -> Labels:
    found = [str(kind).strip() for kind in _looked_up(images, rows, where)]
    counted = order(set(found), _names(rows, images), classes, names, where)
    return _checked(found, counted, images, classes, where)


def _from_column(images: Images, classes: int, names: ClassNames) -> Labels:
    """Counts by the numbers in a table; those that it gives other names than the model's are looked up by these."""
    column, kinds = images.column.tolist(), images.kinds
    telling = kinds != tuple(map(str, range(len(kinds))))
    if not kinds or not telling or not names:
        if kinds and len(kinds) != classes:
            raise InputError(
                f"the table of {images.source} has {len(kinds)} classes, the head has {classes}: name the head's with"
                " --class-names, or give a file of names and classes with --labels"
            )
        return _checked(column, None, images, classes, "the table's column")
    strange = next((i for i, number in enumerate(column) if not 0 <= number < len(kinds)), None)
    if strange is not None:
        raise InputError(f"{images.names[strange]} is of class {column[strange]}, the table has {len(kinds)}")
    found = [kinds[number] for number in column]
    return _checked(found, order(set(found), kinds, classes, names, images.source), images, classes, "the table")


def _from_names(images: Images, classes: int, names: ClassNames) -> Labels | None:
    """Counts by numbers or WordNet ids in the files' names; None where that is not what they say.

    A number alone says nothing (`1_holiday.jpg`).

    Raises:
        InputError: a number and a WordNet id that contradict each other.
    """
    files = [os.path.basename(name) for name in images.names]
    ids = [set(WNID.findall(file)) for file in files]
    indexed = [_INDEXED.fullmatch(name) for name in images.names]
    if all(indexed):
        pairs = {(int(match[1]), match[2]) for match in indexed}
        doubt = [pair for pair in pairs if names.ids and names.matches(pair[1]) != (pair[0],)]
        if any(len(set(column)) < len(pairs) for column in zip(*pairs, strict=True)) or doubt:
            example = "{}_{}".format(*min(doubt or pairs))
            raise InputError(f"numbers and WordNet ids in the names of {images.source} do not agree, e.g. {example}")
        return _checked([match[1] for match in indexed], None, images, classes, "numbers before the files' names")
    if names.ids and all(len(one) == 1 and names.matches(*one) for one in ids):
        counted = {wnid: names.number(wnid) for one in ids for wnid in one}
        return _checked([*map(min, ids)], Order(counted, "by id", 2), images, classes, "the files' WordNet ids")
    numbered = [_NUMBERED.fullmatch(name) for name in images.names]
    if names and all(match and _named_so(int(match[1]), match[2], names) for match in numbered):
        return _checked([match[1] for match in numbered], None, images, classes, "numbers before the files' names")
    return None


def _named_so(number: int, text: str, names: ClassNames) -> bool:
    """Says whether `golden_retriever` or `golden_retriever_12` is what a class is called."""
    return any(number in names.matches(name) for name in (text, re.sub(r"[\W_]*\d+$", "", text)))


def _read(path: Path, images: Images) -> Classes:
    if path.suffix not in (".json", *_SEPARATORS):
        raise InputError(f"{path} is no list of classes: .csv, .tsv, .txt or .json would be")
    text = decoded(read_bytes(path, LARGEST), str(path))
    if path.suffix == ".json":
        return parse_json(text, str(path), dict[str, str | int | float | None])
    return _rows(text, _separator(text, _SEPARATORS[path.suffix], images), str(path))


def _separator(text: str, choices: str, images: Images) -> str:
    """Finds what stands between names and classes: before it, the first of the lines have names of image files."""
    lines = [line for line in islice(text.splitlines(), 100) if line.strip()]
    files = lambda mark: sum(os.path.splitext(_file(line, mark))[1].lower() in endings() for line in lines)
    return max(choices, key=files)


def _file(line: str, mark: str) -> str:
    return next(csv.reader([line], delimiter=mark), [""])[0].strip() if mark in line else ""


def _rows(text: str, separator: str, where: str) -> Classes:
    try:
        rows = [row for row in csv.reader(io.StringIO(text), delimiter=separator) if any(map(str.strip, row))]
    except csv.Error as error:
        raise InputError(f"{where} is not readable: {error}") from None
    if short := next((row for row in rows if len(list(filter(None, row))) < 2), None):
        raise InputError(f"{where}: the row {separator.join(short)!r} does not hold an image and its class")
    if separator == " ":  # any number of blanks, and names of several words
        rows = [[cell for cell in row if cell] for row in rows]
        rows = [row[:2] if NUMBER.fullmatch(row[1]) else [row[0], " ".join(row[1:])] for row in rows]
    listed = {}
    for name, kind, *_ in rows:
        if listed.setdefault(name.strip(), kind) != kind:
            raise InputError(f"{where} gives {name.strip()} two classes, {listed[name.strip()]} and {kind}")
    return listed


def _looked_up(images: Images, listed: Classes, where: str) -> list[str | int]:
    paths = paired(images.names, listed, images.source, where)
    found = [None if path is None else listed[path] for path in paths]
    if None in found:
        name = images.names[found.index(None)]
        close = nearest(name, islice(listed, _SEARCHED))
        raise InputError(f"{where} has no class for {name} ({found.count(None)} of {len(found)} images){close}")
    return found


def _names(listed: Classes, images: Images) -> set[str]:
    """Lists the classes of a list, without what its head says ("image,class") where it has one."""
    first = next(iter(listed), "")
    named = first in images.names or first in map(os.path.basename, images.names)
    is_head = not named and os.path.splitext(first)[1].lower() not in endings()
    return {str(kind).strip() for kind in islice(listed.values(), int(is_head), None)}


def _checked(found: Iterable[str | int], counted: Order | None, images: Images, classes: int, where: str) -> Labels:
    """Turns what was found into numbers, counted as said or themselves numbers; each must be a class of the head."""
    numbers = [int(text) if counted is None else counted.numbers[text] for text in found]
    wrong = next((i for i, number in enumerate(numbers) if not 0 <= number < classes), None)
    if wrong is not None:
        name, number = images.names[wrong], numbers[wrong]
        hint = "; are they counted from 1?" if number == classes and min(numbers) > 0 else ""
        raise InputError(f"{name} is of class {number}, the head has {classes} (0-{classes - 1}){hint}")
    how = "by number" if counted is None else counted.how
    return Labels(np.array(numbers, np.int32), printable(f"{where}, {how}"), counted is not None and counted.rank == 0)
