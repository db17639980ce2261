"""Says what is wrong with tensors or arrays: all of it in one line, the first few of a kind by name."""

from collections.abc import Iterable, Mapping

from vitjax.errors import InputError, nearest

NAMED = 4  # how many tensors an error names before it counts the rest


def hinted(names: list[str], choices: Iterable[str]) -> list[str]:
    """Gives the names, the first with those of `choices` that are nearest to it."""
    return [names[0] + nearest(names[0], choices), *names[1:]] if names else []


def some(names: list[str]) -> str:
    """Writes down the first few names, and how many more there are."""
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


def refuse(faults: Mapping[str, list[str]]) -> None:
    """Raises one InputError for all faults, {what is wrong: the names it is wrong of}; nothing if there are none."""
    if lines := [f"{what}: {some(names)}" for what, names in faults.items() if names]:
        raise InputError("; ".join(lines))
