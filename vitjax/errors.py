"""What a user got wrong, said in one line that names the nearest right thing."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """A mistake in what the user gave: the message is one line, meant to be read as it stands."""


def nearest(word: str, choices: Iterable[str], count: int = 3) -> str:
    """Returns ` (did you mean a, b?)` with the choices closest to `word`, or an empty string."""
    close = difflib.get_close_matches(word, list(choices), n=count, cutoff=0.4)
    return f" (did you mean {', '.join(close)}?)" if close else ""


class Stopped(Exception):
    """Ends a long pass early on request; what it has found so far is kept."""
