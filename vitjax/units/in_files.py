"""Units that a text calls by the file that they are in: `directions.npz:3`, `out/pca.npz:* - 0.5 * logits:207`."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitjax.errors import InputError
from vitjax.models.core.vocabulary import BY_OPTION, FILE, UNCALLED

if TYPE_CHECKING:  # a missing file is said before JAX is imported
    from vitjax.models.core.network import Network

_NAMED = re.compile(rf"(?<![^\s(,+-]){FILE}(?=:|$)")


def files_in(texts: Any) -> list[str]:
    """The files that texts call units by, each once.

    Args:
        texts: a text, or lists of them, however deep; what is no text names no file.

    Raises:
        InputError: one that is not there.
    """
    found = list(dict.fromkeys(file for text in _texts(texts) for file in _NAMED.findall(text)))
    if missing := [file for file in found if not Path(file).expanduser().is_file()]:
        cut = any(map(UNCALLED.fullmatch, _texts(texts)))  # what was found is the end of a path
        due = BY_OPTION if cut else "make one by `vitjax analyze directions`"
        raise InputError(f"the file of directions {missing[0]} does not exist: {due}")
    return found


def attached(model: "Network", texts: Any) -> tuple["Network", Any]:
    """A model among whose taps are the directions that texts call by their files, and the texts with their taps' names.

    Args:
        model: any.
        texts: unit sets, patterns of taps or sums, as for `files_in`; where no file is named all stays as it is.

    Raises:
        InputError: a file that is not there, is none of directions, or is of another model.
    """
    if not (files := files_in(texts)):
        return model, texts
    from vitjax.weights.directions import read_directions

    taps = {}
    for file in files:
        found = read_directions(file)
        same = [one.taps for one in model.dictionaries if getattr(one, "prints", None) == found.prints]
        model = model if found.taps in same else model.with_dictionary(found)
        taps[file] = found.taps[0]
    return model, _renamed(texts, taps)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)


def _renamed(value: Any, taps: dict[str, str]) -> Any:
    if isinstance(value, list | tuple):
        return type(value)(_renamed(one, taps) for one in value)
    return _NAMED.sub(lambda one: taps[one[0]], value) if isinstance(value, str) else value
