"""Reads what the classes of a head are called out of a checkpoint's settings, or out of a file in any usual form."""

import ast
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vitjax.errors import InputError, remark
from vitjax.files import parse_json, read_bytes
from vitjax.models.core.class_names import NAMELESS, WNID, ClassNames

LARGEST = 2**22  # bytes of a list; 21,843 classes with all their synonyms take a quarter of it
_SETTINGS = ("label_names", "labels", "id2label")  # timm's two names for it, transformers'
_NUMBER = re.compile(r"(\d+)\s*[,;:\t ]\s*(.+)")
_ID = re.compile(rf"({WNID.pattern})\s*[,;:\t ]\s*(.+)")
_PLACEHOLDER = "LABEL_{}"  # what transformers calls classes that nobody has named
_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig"}


def stated(settings: Mapping[str, Any], classes: int) -> ClassNames:
    """Reads what a checkpoint's settings call its classes: none where they say nothing, or the model has no head.

    Read are transformers' `id2label`, and timm's `label_names` with its `label_descriptions`, at the top or in
    `pretrained_cfg`, where timm keeps them too, those of another head among them.

    Args:
        settings: of `config.json`.
        classes: how many the head has.

    Raises:
        InputError: names for more or fewer classes than the head has, numbers that are not 0 to the last class, two
            lists that differ, or no names at all.
    """
    found: dict[str, ClassNames] = {}
    _agree(settings)
    inner = settings.get("pretrained_cfg")
    inner = inner if isinstance(inner, Mapping) and inner.get("num_classes", classes) == classes else {}
    for place, where in (settings, ""), (inner, "pretrained_cfg."):
        for key in _SETTINGS if classes and not found else ():
            if place.get(key):
                names = _ordered(place[key], f"config.json: {where}{key}", place.get("label_descriptions"))
                if names.names != tuple(map(_PLACEHOLDER.format, range(len(names)))):
                    found[where + key] = fitting(names, classes, f"config.json: {where}{key}")
    if len({names.names for names in found.values()}) > 1:
        (one, ours), (other, theirs) = list(found.items())[:2]
        different = next(i for i, pair in enumerate(zip(ours, theirs, strict=True)) if pair[0] != pair[1])
        raise InputError(
            f"config.json names its classes twice: class {different} is {ours[different]!r} in {one},"
            f" {theirs[different]!r} in {other}"
        )
    return next(iter(found.values()), NAMELESS)


def _agree(settings: Mapping[str, Any]) -> None:
    """Raises where transformers' two tables, of names by number and of numbers by name, say different things."""
    named, numbered = settings.get("id2label"), settings.get("label2id")
    if isinstance(named, Mapping) and isinstance(numbered, Mapping):
        names = [name for name in named.values() if isinstance(name, str)]
        for number, name in named.items():  # of two classes of one name, as ImageNet's cranes, the second table has one
            if names.count(name) == 1 and str(numbered.get(name, number)) != str(number):
                raise InputError(
                    f"config.json names its classes twice: {name!r} is class {number} in id2label,"
                    f" {numbered[name]} in label2id"
                )


def class_names(source: str | os.PathLike[str] | Sequence[str]) -> ClassNames:
    """Reads what classes are called, in their order, off a list of names or a file.

    The file may hold a name on each line, `n01440764 tench`, `0,tench`, `0: tench` or `tench,0`, also with a head; a
    JSON or Python list, or an object of numbers and names, such as Keras' `imagenet_class_index.json`; or be a
    checkpoint's `config.json`. Blank lines do not count.

    Args:
        source: names in the head's order, or the path of a file.

    Raises:
        InputError: the file cannot be read, is larger than `LARGEST`, holds nothing of the kind, or numbers that leave
            some out or come twice.
    """
    if isinstance(source, ClassNames):
        return source
    if not isinstance(source, str | os.PathLike):
        return _ordered(list(source), "class_names")
    path = Path(source).expanduser()
    text = decoded(read_bytes(path, LARGEST), str(path))
    value = _value(text, path) if text.lstrip()[:1] in ("{", "[") else _lines(text, str(path))
    if isinstance(value, dict) and (keys := [key for key in _SETTINGS if key in value]):
        return _ordered(value[keys[0]], f"{path}: {keys[0]}", value.get("label_descriptions"))
    return _ordered(value, str(path))


def fitting(names: ClassNames, classes: int, where: str) -> ClassNames:
    """Gives the names, if there are as many as the head has classes; InputError if not."""
    if len(names) != classes:
        head = f"the head has {classes}" if classes else "this model has no head"
        raise InputError(f"{where} names {len(names)} classes, {head}")
    return names


def decoded(data: bytes, where: str) -> str:
    """Decodes the text of a file: UTF-8, UTF-16 by its mark, else Western European, which is said.

    Raises:
        InputError: it is no text.
    """
    coding = next((coding for mark, coding in _MARKS.items() if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(coding)
    except UnicodeDecodeError as error:
        if coding == "utf-16" or b"\0" in data:
            raise InputError(f"{where} is not readable as text: {error}") from None
        try:
            text = data.decode("cp1252")
        except UnicodeDecodeError:
            raise InputError(f"{where} is not readable as text: {error}") from None
        remark(f"{where} is not UTF-8: read as Western European (cp1252)")
    if "\0" in text:
        raise InputError(f"{where} is not readable as text: it holds null bytes")
    return text


def _value(text: str, path: Path) -> Any:
    """What JSON or a Python literal says."""
    if path.suffix == ".json":
        return parse_json(text, str(path), dict[str, Any] | list[Any])
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
        what = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise InputError(f"{path} is readable neither as JSON nor as a Python literal: {what}") from None


def _lines(text: str, where: str) -> list[Any]:
    """The lines of a text as a list of names, or of [id, name], in the order of the numbers where they have any."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    ids, rest = _split(lines, _ID)
    whole = rest
    numbers, rest = _split(whole, _NUMBER)
    if numbers and len({*map(int, numbers)}) == len(numbers) >= 2 * len(set(rest)):
        numbers, rest = None, whole  # 1 euro, 2 euro, 5 euro
    if numbers is None:
        numbers, rest = _split_last(rest)
    if ids is None:
        ids, rest = _split(rest, _ID)
    names = [_unquoted(name) for name in rest]
    values = names if ids is None else [list(pair) for pair in zip(ids, names, strict=True)]
    if numbers is None:
        return values
    first = min(map(int, numbers))  # a list of all classes counted from 1 is in no doubt
    return _in_order([(int(n) - (first == 1), value) for n, value in zip(numbers, values, strict=True)], where)


def _split(lines: list[str], form: re.Pattern[str]) -> tuple[list[str] | None, list[str]]:
    """What stands before each line by this form, and the rest; a first line that alone lacks it is a head."""
    found = [form.fullmatch(line) for line in lines]
    if len(found) > 2 and not found[0] and all(found[1:]):
        found = found[1:]
    return ([match[1] for match in found], [match[2] for match in found]) if found and all(found) else (None, lines)


def _split_last(lines: list[str]) -> tuple[list[str] | None, list[str]]:
    """Numbers in the last column, if they are those of all the lines; after a blank they are parts of names."""
    parts = [re.fullmatch(r"(.+?)\s*[,;\t]\s*(\d+)", line) for line in lines]
    if len(parts) > 2 and not parts[0] and all(parts[1:]):
        parts = parts[1:]  # after a head
    numbers = {int(part[2]) for part in parts if part}
    if not parts or not all(parts) or numbers not in (set(range(len(parts))), set(range(1, len(parts) + 1))):
        return None, lines
    return [part[2] for part in parts], [part[1] for part in parts]


def _unquoted(name: str) -> str:
    return name[1:-1] if len(name) > 1 and name[0] == name[-1] and name[0] in "\"'" else name


def _ordered(value: Any, where: str, descriptions: Mapping[str, str] | None = None) -> ClassNames:
    """Names as they come: a list, {number: name} or {name: number}, each name a text or [id, name].

    Raises:
        InputError: anything else, an empty name, or numbers other than 0 to the last.
    """
    if isinstance(value, Mapping):
        by_name = value and all(isinstance(number, int) and not isinstance(number, bool) for number in value.values())
        pairs = [(number, name) for name, number in value.items()] if by_name else list(value.items())
        value = _in_order(pairs, where)
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        raise InputError(f"{where} must be a list of names, one for each class, or an object of numbers and names")
    pairs = [item if _is_pair(item) else (None, item) for item in value]
    wrong = next((i for i, (_, name) in enumerate(pairs) if not isinstance(name, str) or not name.strip()), None)
    if wrong is not None:
        raise InputError(f"{where} calls class {wrong} {str(value[wrong])[:60]!r}, which is no name")
    ids, names = [id for id, _ in pairs], [name.strip() for _, name in pairs]
    if isinstance(descriptions, Mapping) and all(isinstance(descriptions.get(name), str) for name in names):
        ids, names = names, [descriptions[name] for name in names]
    if None in ids:
        ids = names if all(map(WNID.fullmatch, names)) else ()
    return ClassNames(tuple(names), tuple(ids))


def _is_pair(item: Any) -> bool:
    return isinstance(item, list | tuple) and len(item) == 2 and isinstance(item[0], str)


def _in_order(pairs: Iterable[tuple[Any, Any]], where: str) -> list[Any]:
    found: dict[int, Any] = {}
    for number, name in pairs:
        if not str(number).strip().isdecimal():
            raise InputError(f"{where}: {str(number)[:60]!r} is no number of a class")
        if int(number) in found:
            raise InputError(f"{where} gives class {int(number)} two names")
        found[int(number)] = name
    if missing := set(range(len(found))) - found.keys():
        raise InputError(
            f"{where} names {len(found)} classes, but not class {min(missing)}: they must be numbered from 0 to"
            f" {len(found) - 1}"
        )
    return [found[number] for number in range(len(found))]
