"""Matches the paths in lists and zips, written anywhere and in any way, to the images that they mean."""

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import takewhile
from pathlib import PurePosixPath

from vitjax.data.files.formats import endings
from vitjax.errors import InputError


def plain(path: str) -> str:
    """Writes a path with `/` between its parts, without root, drive and `.`: `C:\\photos\\a.jpg` is `photos/a.jpg`."""
    parts = [part for part in re.split(r"[\\/]+", path) if part not in ("", ".")]
    return "/".join(parts[1:] if re.fullmatch("[A-Za-z]:", parts[0] if parts else "") else parts)


def paired(names: Sequence[str], listed: Iterable[str], source: str, where: str) -> list[str | None]:
    """Finds the path in a list that means each image by its whole name, None where there is none; see also `matched`.

    A path means an image if one of both ends with the other, part by part: it may begin above the data set, as absolute
    ones do, or name the file alone. Of several the image's own name comes first, then the one that shares most folders
    with the image.

    Args:
        names: of the images.
        listed: paths in any form that `plain` knows.
        source: where the images are.
        where: how messages call the list.

    Raises:
        InputError: two paths that mean an image equally well, or a path that means two images.
    """
    by_file = defaultdict(list)
    for path in listed:
        parts = plain(path).split("/")[::-1]
        by_file[parts[0]].append((parts, path))
    above = plain(os.path.abspath(source)).split("/")[::-1]
    found = [_best(plain(name).split("/")[::-1], by_file, above, where) for name in names]
    path, count = Counter(filter(None, found)).most_common(1)[0] if any(found) else ("", 0)
    if count > 1:
        several = [name for name, one in zip(names, found, strict=True) if one == path]
        raise InputError(f"{where}: which image is {path}: {' or '.join(several[:3])}?")
    return found


def matched(names: Sequence[str], paths: Sequence[str], what: str = "boxes") -> dict[str, str]:
    """Finds {image name: path in a list}, the one that shares most of its folders, counted from the file upwards.

    Raises:
        InputError: two paths that fit an image, or two images that fit a path, equally well.
    """
    by_file = defaultdict(list)
    for path in paths:
        by_file[_stems(path)[0]].append(path)
    found = {}
    for name in names:
        parts = _stems(name)
        if candidates := by_file.get(parts[0]):
            shared = [_shared(parts, _stems(path)) for path in candidates]
            if shared.count(max(shared)) > 1:
                raise InputError(f"which {what} are meant for {name}: {' or '.join(candidates[:3])}?")
            found[name] = candidates[shared.index(max(shared))]
    path, count = Counter(found.values()).most_common(1)[0] if found else ("", 0)
    if count > 1:
        several = [name for name in found if found[name] == path]
        raise InputError(f"which image are the {what} of {path} for: {' or '.join(several[:3])}?")
    return found


def _best(name: list[str], by_file: dict[str, list[tuple[list[str], str]]], above: list[str], where: str) -> str | None:
    """Finds the path that means an image; parts are given from the file upwards."""
    known = by_file.get(name[0], ())
    fits = [(parts, path) for parts, path in known if _shared(parts, name) == min(len(parts), len(name))]
    exact = [path for parts, path in fits if parts == name]
    shared = [_shared(parts, [*name, *above]) for parts, _ in fits]
    best = exact or [path for (_, path), count in zip(fits, shared, strict=True) if count == max(shared)]
    if not best:
        return None
    if len(best) > 1:
        raise InputError(f"{where}: which line is meant for {'/'.join(name[::-1])}: {' or '.join(best[:3])}?")
    return best[0]


def _shared(a: Sequence[str], b: Sequence[str]) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False)))


def _stems(path: str) -> tuple[str, ...]:
    """Lists a path's parts: file name without its ending, folder, folder of the folder, …"""
    path = PurePosixPath(plain(path))
    file = path.stem if path.suffix.lower() in endings() | {".xml"} else path.name
    return file, *reversed(path.parent.parts)
