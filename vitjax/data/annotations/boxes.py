"""Reads where the objects of images are, from lists of boxes: {image name: its boxes}, and a mask of the pixels inside.

Every list has its own idea of a box's last pixel. Here corners are (x0, y0, x1, y1) in whole pixels counted from 0, and
x1 and y1 stand just outside: Tiny ImageNet and PASCAL name the last pixel inside, so 1 is added; COCO gives left, top,
width and height as fractions of pixels, and every pixel that is touched counts as inside.
"""

import json
import math
import re
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np
from jaxtyping import Bool, Int

from vitjax.data.files.images import Images
from vitjax.data.files.paths import matched
from vitjax.data.files.readers import Folder, Zip, existing, walk
from vitjax.errors import InputError
from vitjax.files import open_regular, read_bytes

_LISTS = ("val_annotations.txt", "_boxes.txt")  # how Tiny ImageNet calls its lists
_WNID = re.compile(r"n\d{8}")
LARGEST_LIST = 2**30  # bytes; COCO's masks of 118,287 images take 0.45e9
_PROPORTIONS = 0.05  # by how much an image may differ from the one that was annotated


@dataclass(frozen=True, eq=False)
class Boxes:
    """The boxes of one image.

    Attributes:
        corners: x0, y0, x1, y1 in pixels, x1 and y1 outside the box; may reach over the image's edges.
        size: (height, width) of the image in which the corners were counted, where the list says it.
        kinds: the class of what each box holds, as the list calls it; "" where it does not.
    """

    corners: Int[np.ndarray, "box 4"]
    size: tuple[int, int] | None = None
    kinds: tuple[str, ...] = ()


class Box(NamedTuple):
    """A line of a list: `path` says the image, `text` is the box as it stands there."""

    path: str
    corners: tuple[int, int, int, int]
    text: str
    object: str = ""
    size: tuple[int, int] | None = None


def boxes(images: Images, source: str | Path | None = None, *, all_objects: bool = False) -> dict[str, Boxes]:
    """Reads the boxes of every image that has some; images without one are not in the result.

    An image is found by its file's name without the ending; where several folders hold such a file, by theirs too.

    Args:
        images: the data set.
        source: a list in Tiny ImageNet's form (.txt: file, class if given, x0, y0, x1, y1), PASCAL's (.xml, as ImageNet
            has them) or COCO's (.json); or a folder or zip of .xml files or Tiny ImageNet's lists. None looks for Tiny
            ImageNet's lists among the images.
        all_objects: also those of another class than the image's. Without it they are left out, where the list and the
            image's name both give the class as a WordNet id. (ImageNet calls some dogs by name: those always stay.)

    Raises:
        InputError: no list there, one that cannot be read, a box that is empty, backwards or outside its image, no box
            for any image, or a box that could be meant for several.
    """
    listed = defaultdict(list)
    for box in _found(images, source):
        listed[box.path].append(box)
    chosen = {
        name: kept
        for name, path in matched(images.names, list(listed)).items()
        if (kept := [box for box in listed[path] if all_objects or _own(name, box.object)])
    }
    where = source or images.source
    if not chosen:
        example = f", it names e.g. {next(iter(listed))}" if listed else ""
        raise InputError(f"{where} has no box for any of the images, e.g. {images.names[0]}{example}")
    wrong = [(name, box, why) for name, kept in chosen.items() for box in kept if (why := _wrong(box))]
    if wrong:
        name, box, why = wrong[0]
        more = f" (and {len(wrong) - 1} more like this)" if wrong[1:] else ""
        raise InputError(f"{name}: the box {box.text} {why}{more}; take it out of {where} to go on without it")
    return {
        name: Boxes(np.array([box.corners for box in kept]), kept[0].size, tuple(box.object for box in kept))
        for name, kept in chosen.items()
    }


def mask(boxes: Boxes, height: int, width: int) -> Bool[np.ndarray, "h w"]:
    """Marks the pixels inside any of the boxes, of an image of this size.

    Where the list says the size of the annotated image and this one is a scaled copy of it, so are the boxes (ImageNet
    counts in the image that was shown to people, often not the one that is downloaded); pixels that are touched count.

    Raises:
        InputError: a box outside the image, or an image of other proportions than the annotated one.
    """
    rows, columns = boxes.size or (height, width)
    if abs(math.log(width * rows / (height * columns))) > _PROPORTIONS:
        raise InputError(f"its boxes are for an image of {columns}x{rows} pixels, this one is {width}x{height}")
    inside = np.zeros((height, width), bool)
    for x0, y0, x1, y1 in boxes.corners.tolist():
        top, bottom = max(0, y0 * height // rows), max(0, -(-y1 * height // rows))
        left, right = max(0, x0 * width // columns), max(0, -(-x1 * width // columns))
        if not inside[top:bottom, left:right].size:
            raise InputError(f"the box {x0} {y0} {x1} {y1} holds no pixel of the image, {columns}x{rows}")
        inside[top:bottom, left:right] = True
    return inside


def _own(name: str, object: str) -> bool:
    known = _WNID.findall(name)
    return not known or not _WNID.fullmatch(object) or object in known


def _wrong(box: Box) -> str:
    x0, y0, x1, y1 = box.corners
    if x1 <= x0 or y1 <= y0:
        return "is empty or backwards"
    if x1 <= 0 or y1 <= 0 or (box.size and (x0 >= box.size[1] or y0 >= box.size[0])):
        return f"lies outside the image{', {1}x{0}'.format(*box.size) if box.size else ''}"
    return ""


def _found(images: Images, source: str | Path | None) -> Iterator[Box]:
    if source is None:
        if lists := [name for name in images.texts if name.endswith(_LISTS)]:
            return _read(lists, lambda name: images.texts[name].encode())
        raise InputError(f"nothing says where the objects in {images.source} are: name a file, folder or zip of boxes")
    path = existing(source, "boxes")
    if not path.is_dir():
        open_regular(path).close()
    if path.is_dir():
        files, reader = walk(path), Folder(path)
    elif zipfile.is_zipfile(path):
        files, reader = (archive := Zip(path)).names(), archive
    elif path.suffix in _FORMS:
        return _FORMS[path.suffix](path.name, read_bytes(path, LARGEST_LIST))
    else:
        raise InputError(f"{path} is no list of boxes: a folder, a zip, {', '.join(sorted(_FORMS))} would be")
    lists = sorted(name for name in files if name.endswith((".xml", *_LISTS)) and "__MACOSX" not in name)
    if not lists:
        raise InputError(f"no lists of boxes in {path}: looked for *.xml, *{', *'.join(_LISTS)}")
    return _read(lists, reader)


def _read(files: Iterable[str], reader: Callable[[str], bytes]) -> Iterator[Box]:
    for name in files:
        yield from _FORMS[PurePosixPath(name).suffix](name, reader(name))


def _tiny(where: str, data: bytes) -> Iterator[Box]:
    for number, line in enumerate(data.decode(errors="replace").splitlines(), 1):
        if not line.strip():
            continue
        cells = line.split("\t")
        try:
            name, *kind, x0, y0, x1, y1 = cells
            corners = int(x0), int(y0), int(x1) + 1, int(y1) + 1
        except ValueError:
            raise InputError(f"{where}, line {number}: {line!r} is not a file, its class and x0, y0, x1, y1") from None
        path = (PurePosixPath(where).parent / name).as_posix()
        yield Box(path, corners, f"{x0} {y0} {x1} {y1}", "".join(kind))


class _Plain(ElementTree.TreeBuilder):
    """Builds XML without a document type, the place where entities are declared."""

    def doctype(self, name, pubid, system):
        raise InputError("it declares a document type, which annotations have no use for")


def pascal(where: str, data: bytes) -> Iterator[Box]:
    """Reads the boxes of one of PASCAL's XML files, in its order; InputError where it is none."""
    try:
        root = ElementTree.fromstring(data, ElementTree.XMLParser(target=_Plain()))
        number = lambda node, name: float(node.findtext(name, "").strip())
        size = (
            None if root.find("size") is None else (int(number(root, "size/height")), int(number(root, "size/width")))
        )
        for thing in root.findall("object"):
            listed = [number(thing, f"bndbox/{name}") for name in ("xmin", "ymin", "xmax", "ymax")]
            x0, y0, x1, y1 = map(math.floor, listed)
            text = " ".join(f"{corner:g}" for corner in listed)
            kind = thing.findtext("name", "").strip()
            yield Box(where, (x0, y0, x1 + 1, y1 + 1), text, kind, size if size and all(size) else None)
    except (ElementTree.ParseError, LookupError, OverflowError, ValueError) as error:
        raise InputError(f"{where} is not readable as PASCAL's XML: {error}") from None


def _coco(where: str, data: bytes) -> Iterator[Box]:
    try:
        record = json.loads(data)
        images: Mapping[object, Mapping] = {image["id"]: image for image in record["images"]}
        kinds = {kind["id"]: kind["name"] for kind in record.get("categories", ())}
        for line in record["annotations"]:
            image, (x, y, width, height) = images[line["image_id"]], line["bbox"]
            corners = math.floor(x), math.floor(y), math.ceil(x + width), math.ceil(y + height)
            if width <= 0 or height <= 0:
                corners = (*corners[:2], *corners[:2])
            size = (image["height"], image["width"]) if image.get("height") and image.get("width") else None
            text = f"{x} {y} {width} {height}"
            yield Box(image["file_name"], corners, text, kinds.get(line.get("category_id"), ""), size)
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else error
        raise InputError(f"{where} is not readable as COCO's JSON: {what}") from None


_FORMS: Mapping[str, Callable[[str, bytes], Iterator[Box]]] = {".json": _coco, ".txt": _tiny, ".xml": pascal}
