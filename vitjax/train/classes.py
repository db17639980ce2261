"""Finds out which classes a data set has, for a head that is to learn them."""

from collections.abc import Iterable
from pathlib import Path

from vitjax.data.annotations.class_order import folder_order, levels
from vitjax.data.annotations.labels import listed_kinds
from vitjax.data.files.images import Images
from vitjax.data.files.splits import is_split
from vitjax.errors import InputError
from vitjax.models.core.class_names import NAMELESS, WNID, ClassNames

_SAY = "say how many there are with --classes"


def classes_of(images: Images, count: int | None = None, listed: Path | None = None) -> ClassNames:
    """Names the classes of a data set in the order in which a head shall count them.

    They are those of a list, else those that a table names, or the folders: of the level at which there are several.

    Args:
        images: what there is.
        count: how many there are, if that is known.
        listed: a file that says the class of each image.

    Raises:
        InputError: nothing says the classes, or they are in doubt.
    """
    if listed is not None:
        kinds = sorted(listed_kinds(images, listed))
        if all(map(str.isdecimal, kinds)):
            return _named(map(str, range(count or max(map(int, kinds)) + 1)))
        if len(kinds) != (count or len(kinds)):
            raise InputError(f"{listed} names {len(kinds)} classes, --classes {count}")
        return _named(kinds)
    if images.column is not None:
        kinds = images.kinds or tuple(map(str, range(int(images.column.max()) + 1)))
        return _named(kinds)
    if count is None:
        found = [sorted(set(level.values())) for level in levels(images.folders)]
        found = [kinds for kinds in found if len(kinds) > 1 and not all(map(is_split, kinds))]
        if len(found) != 1:
            what = " or ".join(f"{kinds[0]}, {kinds[1]}, …" for kinds in found)
            doubt = f"which folders of {images.source} are the classes: {what}?" if found else ""
            raise InputError(f"{doubt or f'nothing says the classes of the images in {images.source}'}; {_SAY}")
        count = len(found[0])
    if order := folder_order(images.folders, count, NAMELESS, images.source):
        numbers = order[1].numbers
        return _named(sorted(numbers, key=numbers.get))
    return NAMELESS


def _named(kinds: Iterable[str]) -> ClassNames:
    kinds = tuple(kinds)
    return ClassNames(kinds, kinds if all(map(WNID.fullmatch, kinds)) else ())
