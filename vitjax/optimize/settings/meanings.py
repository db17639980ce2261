"""Says in words what the fields of a recipe and of its stages mean: as their docstrings say it, for the terminal."""

import inspect
import re


def meanings(kind: type) -> dict[str, str]:
    """Reads {field: what it means} from the "Attributes:" of a class's docstring; fields may share a line.

    Empty where Python was told to leave docstrings out.
    """
    _, _, listed = (inspect.getdoc(kind) or "").partition("Attributes:\n")
    entries = re.findall(r"^    (\w[\w, ]*): (.*(?:\n {8}.*)*)", listed, re.MULTILINE)
    return {name: " ".join(text.split()) for names, text in entries for name in names.split(", ")}
