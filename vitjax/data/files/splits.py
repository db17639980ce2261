"""Chooses the files of one split among the parquet files of a data set, by the conventions of the hub.

`data/validation-00000-of-00014.parquet`, `default/validation/0000.parquet`, `validation/part-3.parquet`, `val.parquet`:
all say what they are a part of. The folders before that tell configurations apart.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import PurePosixPath

from vitjax.errors import InputError, nearest

_KNOWN = {"train", "training", "validation", "valid", "val", "dev", "test", "testing", "eval", "evaluation"}
_PIECE = re.compile(r"(?:(.+)-)?(\d{5,})-of-(\d{5,})(?:-[0-9a-f]+)?")  # as `datasets` writes them, once with a hash
_COUNTED = re.compile(r"()(\d{4,})()")  # as the hub counts what it has converted
_TAIL = re.compile(r"([-_. ]?\d+)+$")


def choose(names: Sequence[str], split: str | None, where: str) -> tuple[list[str], str]:
    """Chooses the files of a split, in the order of their names, and says what the split is called.

    Args:
        names: of parquet files, as paths from the top of the data set.
        split: as the files call it, e.g. "validation" or "cropped/validation"; None where there is only one.
        where: how the user named the data set, for messages.

    Raises:
        InputError: several splits and none named, or one that is not there, or that several configurations have.
    """
    splits = defaultdict(list)
    for name in sorted(names):
        splits[_split(name)].append(name)
    last = [PurePosixPath(key).name or key for key in splits]
    called = {key: name if last.count(name) == 1 else key for key, name in zip(splits, last, strict=True)}
    if split is None and len(splits) > 1:
        raise InputError(f"{where} has several splits, name one: {', '.join(called.values())}")
    found = [key for key, name in called.items() if split in (None, key, name)]
    if not found:
        known = called.values()
        raise InputError(f"{where} has no split {split!r}, it has {', '.join(known)}{nearest(split, known)}")
    return splits[found[0]], called[found[0]]


def absent(names: Sequence[str]) -> int:
    """Counts how many files of a split are not there, as far as the numbers in the names tell."""
    stems = [PurePosixPath(name).stem for name in names]
    counted = [found for stem in stems if (found := _PIECE.fullmatch(stem) or _COUNTED.fullmatch(stem))]
    total = max((max(int(found[2]) + 1, int(found[3] or 0)) for found in counted), default=0)
    return total - len({int(found[2]) for found in counted})


def is_split(name: str) -> bool:
    """Says whether a folder of this name is a part of a data set: train, val, test-2, …"""
    return _TAIL.sub("", name).lower() in _KNOWN


def _split(name: str) -> str:
    """Cuts a path to what says the split: up to a piece's name, else to a known word, else the folder."""
    *folders, stem = PurePosixPath(name).with_suffix("").parts
    if (piece := _PIECE.fullmatch(stem)) and piece[1]:
        return "/".join([*folders, piece[1]])
    parts = [*folders, _TAIL.sub("", stem)]
    for end in range(len(parts), 0, -1):
        if _KNOWN & set(re.split(r"[-_. ]", _TAIL.sub("", parts[end - 1]).lower())):
            return "/".join(parts[:end])
    return "/".join(folders) or "."
