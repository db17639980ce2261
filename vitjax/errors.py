"""What a user got wrong, said in one line that names the nearest right thing."""

import sys
import warnings
from collections.abc import Iterable

LONGEST = 2000  # letters of a message
AGAIN = 75  # exit code: stopped on request, to be run once more (EX_TEMPFAIL of sysexits.h)
INTERRUPTED = 130  # exit code: by Ctrl-C, as shells count it


class InputError(ValueError):
    """A mistake in what the user gave: the message is one line, meant to be read as it stands.

    What cannot be printed, as in a name out of a damaged file, is written as an escape, and a line without end is cut.
    """

    def __init__(self, message: str):
        text = printable(message[: LONGEST + 1])
        super().__init__(text if len(text) <= LONGEST else text[:LONGEST] + "…")


def printable(text: str) -> str:
    """The text with an escape for every letter that is not printable, a line's end or half a letter among them."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def nearest(word: str, choices: Iterable[str], count: int = 3) -> str:
    """Returns ` (did you mean a, b?)` with the choices closest to `word`, or an empty string."""
    import difflib  # here, as this module is the first that a process imports, and most never need it

    close = difflib.get_close_matches(str(word), list(choices), n=count, cutoff=0.4)
    return f" (did you mean {', '.join(close)}?)" if close else ""


class Stopped(Exception):
    """Ends a long pass early on request; what it has found so far is kept."""


class Remark(UserWarning):
    """What a user should know and need not mend, in one line: a warning that stands by itself, without its place."""


def remark(message: str) -> None:
    """Warns by a `Remark`, cleaned as an `InputError` is, as from the code that called vitjax."""
    frame, level = sys._getframe(1), 2
    inside = (__package__, "contextlib")  # a function that a context manager decorates is called from there
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] in inside:
        frame, level = frame.f_back, level + 1
    warnings.warn(str(InputError(message)), Remark, stacklevel=level)
