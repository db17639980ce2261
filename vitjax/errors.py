"""What a user got wrong, said in one line that names the nearest right thing."""

from collections.abc import Iterable

HERE = "{here}"  # in a message about a checkpoint: the name that the user gave it
LONGEST = 2000  # letters of a message
SHOWN = 100  # letters of a text before and after the place of a mistake
AGAIN = 75  # exit code: stopped on request, to be run once more (EX_TEMPFAIL of sysexits.h)
INTERRUPTED = 130  # exit code: by Ctrl-C, as shells count it


class InputError(ValueError):
    """A mistake in what the user gave: the message is one line, meant to be read as it stands.

    What cannot be printed, as in a name out of a damaged file, is written as an escape, and a line without end is cut.
    """

    def __init__(self, message: str):
        text = printable(message[: LONGEST + 1])
        super().__init__(text if len(text) <= LONGEST else text[:LONGEST] + "…")

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows in place of the frames: the message, and the user's own line that led to it."""
        import traceback  # here, as this module is the first that a process imports
        from pathlib import Path

        package, own = str(Path(__file__).parent), []
        for frame in traceback.extract_tb(self.__traceback__):
            if frame.filename.startswith(package):
                break
            own.append(frame)
        place = f"  in line {own[-1].lineno}: {own[-1].line}" if own and own[-1].line else ""
        return [f"{type(self).__name__}: {self}", *filter(None, [place])]


class Misspelled(InputError):
    """A mistake at one place of a text, which is shown beneath the message with a caret under the place."""

    def __init__(self, message: str, text: str, place: int):
        super().__init__(message)
        if not text.strip():  # there is nothing to show
            return
        first, rest = printable(text[:place]), printable(text[place:])
        cut = max(0, len(first) - SHOWN)
        self.args = (
            f"{self}\n  {'…' * bool(cut)}{first[cut:]}{rest[:SHOWN]}\n  {' ' * (len(first) - cut + bool(cut))}^",
        )


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


def remark(message: str) -> None:
    """Tells the user in one line, cleaned as an `InputError` is, what is good to know and need not be mended.

    It is a warning of the logger "vitjax", as is everything that vitjax says while it goes on.
    """
    import logging  # here, as above

    logging.getLogger("vitjax").warning("%s", InputError(message))
