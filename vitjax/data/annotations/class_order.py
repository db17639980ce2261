"""Tells which class of the head a name or number in a data set means, or why that is in doubt."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from vitjax.data.files.splits import is_split
from vitjax.errors import InputError, printable
from vitjax.models.core.class_names import WNID, ClassNames, folded

NUMBER = re.compile(r"[+-]?\d{1,40}(?:\.0*)?")
IMAGENET = 1000  # classes of ILSVRC 2012, everywhere counted in the order of their WordNet ids
_GIVE = "name the head's classes in its order (--class-names), or give numbers (--labels)"


@dataclass(frozen=True)
class Order:
    """The class that each text means.

    Attributes:
        numbers: {text: class}.
        how: what they were counted by, in words.
        rank: 2 by the names of the model's classes, 1 by number, 0 by the order of their names alone, which is a guess.
    """

    numbers: Mapping[str, int]
    how: str
    rank: int


def order(used: Collection[str], known: Collection[str], classes: int, names: ClassNames, where: str) -> Order:
    """Finds the classes that texts mean.

    Args:
        used: texts that stand for classes.
        known: all that there are, those of other images among them.
        classes: how many the head has.
        names: what they are called, if that is known.
        where: what holds the texts, for messages.

    Raises:
        InputError: texts that are no class of the model, or may be several; numbers counted from 1; without names,
            other than one text for each class, or texts that are not always put in the same order.
    """
    matched = {text: names.matches(text) for text in sorted(used)}
    if names and all(matched.values()):
        return Order({text: names.number(text) for text in matched}, "by the names of the model's classes", 2)
    if all(map(NUMBER.fullmatch, used)) and not any(matched.values()):
        listed = [_whole(text) for text in known if NUMBER.fullmatch(text)]
        if min(listed) == 1 and max(listed) == classes:
            raise InputError(f"{where} counts the classes from 1 to {classes}: the head counts from 0")
        return Order({text: _whole(text) for text in used}, "by number", 1)
    if not names:
        return _sorted(known, classes, where)
    if not names.ids and len(known) == classes == IMAGENET and all(map(WNID.fullmatch, known)):
        return Order(dict(zip(sorted(known), range(classes), strict=True)), "in the order of their WordNet ids", 0)
    strange = next(text for text, found in matched.items() if not found)
    count = sum(not found for found in matched.values())
    model = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
    raise InputError(
        f"{where} has a class {strange!r}, which is none of the model's{names.nearest(strange) or f' ({model})'};"
        f" {count} of {len(matched)} are none"
    )


def folder_order(
    folders: Sequence[str], classes: int, names: ClassNames, where: str
) -> tuple[Mapping[str, str], Order] | None:
    """Finds the folders that say classes: {folder: name of its class}, and the classes of the names; None without.

    Classes may be the folders that hold the images, those around them (`cat/left`), or lie below others (`train/cat`):
    taken are the ones that are called as the model's classes are, else those numbered 0 to the last class, else, of a
    model whose classes have no names, as many as it has classes.

    Args:
        folders: the paths of all that hold images.
        classes, names, where: as of `order`.

    Raises:
        InputError: folders at two levels could be the classes, or those that must be are in doubt.
    """
    found, troubles = [], []
    for level in levels(folders):
        kinds = set(level.values())
        try:
            one = order(kinds, kinds, classes, names, f"{where} (folders)")
            if one.rank == 1 and set(one.numbers.values()) != set(range(classes)):
                raise InputError(f"the folders {_some(kinds)} of {where} are not the classes 0-{classes - 1}: {_GIVE}")
            if one.rank == 0 and (parts := list(filter(is_split, sorted(kinds)))):
                raise InputError(f"the folder {parts[0]}: is it a part of the data set? {_GIVE}")
        except InputError as error:
            likely = sum(bool(names.matches(kind)) for kind in kinds) if names else len(kinds) == classes
            troubles.append((likely, error))
        else:
            found.append((level, one))
    best = [pair for pair in found if pair[1].rank == max(one.rank for _, one in found)]
    best = [pair for pair in best if not all(map(is_split, pair[1].numbers))] or best
    if len({tuple(one.numbers[level[path]] for path in folders) for level, one in best}) > 1:
        several = " or ".join(_some(set(level.values())) for level, _ in best)
        raise InputError(f"which folders of {where} are the classes: {several}? {_GIVE}")
    if best:
        return best[0]
    likely, error = max(troubles, key=lambda trouble: trouble[0], default=(0, None))
    if likely:
        raise error
    return None


def _sorted(known: Collection[str], classes: int, where: str) -> Order:
    """Counts one text for each class, in the order that everybody would put them in."""
    if len(known) != classes:
        raise InputError(f"{where} names {len(known)} classes, the head has {classes}: {_GIVE}")
    plain = sorted(known)
    same: dict[str, str] = {}
    for text in plain:
        if NUMBER.fullmatch(text):
            raise InputError(f"{where} has classes by number and by name, {text} and {_other(known)}: {_GIVE}")
        if (other := same.setdefault(folded(text), text)) != text:
            raise InputError(f"{where} has classes {other!r} and {text!r}: are they the same? {_GIVE}")
    for ours, theirs in zip(plain, sorted(known, key=_natural), strict=True):
        if ours != theirs:
            raise InputError(
                f"{where}: whether {ours!r} or {theirs!r} comes first is not the same everywhere, as capitals and"
                f" numbers are sorted in several ways: {_GIVE}"
            )
    return Order({text: i for i, text in enumerate(plain)}, f"in the order of their names, {_some(plain)}", 0)


def _whole(text: str) -> int:
    return int(text.partition(".")[0])


def _natural(text: str) -> list[str | int]:
    """The key by which people sort: without regard to case, numbers by their size."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", text.casefold())]


def levels(folders: Sequence[str]) -> list[dict[str, str]]:
    """Lists {path: its folder at this level} of each level that all paths have, from the top and from the bottom."""
    parts = {path: path.split("/") for path in folders if path}
    if not parts or len(parts) < len(folders):  # images that lie in no folder
        return []
    shared = range(min(map(len, parts.values())))
    levels = [{path: names[i] for path, names in parts.items()} for i in (*(~i for i in shared), *shared)]
    return [level for i, level in enumerate(levels) if level not in levels[:i]]


def _some(kinds: Collection[str]) -> str:
    shown = kinds if isinstance(kinds, list) else sorted(kinds)
    return printable(", ".join(shown[:3]) + (", …" if len(shown) > 3 else ""))


def _other(known: Collection[str]) -> str:
    return next(text for text in sorted(known) if not NUMBER.fullmatch(text))
