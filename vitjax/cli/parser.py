"""A parser of arguments that says what is wrong in one line, with the nearest right thing, and where the help is."""

import argparse
import re
from typing import NoReturn

from vitjax.errors import nearest, printable

_CHOICE = re.compile(r"(.*)invalid choice: '(.*)' \(choose from (.*)\)", re.DOTALL)
_FEW = 6  # choices that are all listed


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` whose errors are one line in place of a usage and a line; parsers below it are the same."""

    def error(self, message: str) -> NoReturn:
        """Ends the process with 2 after one line."""
        if found := _CHOICE.fullmatch(message):
            choices = [one.strip("'") for one in found[3].split(", ")]
            close = self._setting(found[2]) or nearest(found[2], choices)
            listed = "" if close and len(choices) > _FEW else f" (choose from {', '.join(choices)})"
            message = f"{found[1]}invalid choice: '{found[2]}'{close or listed}"
        message = printable(message.removeprefix("argument : "))  # of a command below, which has no name in the usage
        self.exit(2, f"{self.prog}: error: {message}; see `{self.prog} --help`\n")

    def parse_known_args(self, args=None, namespace=None):
        """As above it; what is left over is an error of the command that it was given to, not of the whole."""
        found, left = super().parse_known_args(args, namespace)
        if left:
            options = [option for option in self._option_string_actions if option.startswith("--")]
            self.error(f"unrecognized arguments: {' '.join(left)}{self._setting(left[0]) or nearest(left[0], options)}")
        return found, left

    def _setting(self, word: str) -> str:
        """What to say of FIELD=VALUE, each of which has a --set of its own."""
        is_one = "--set" in self._option_string_actions and re.match(r"[\w.]+=", word)
        return f" (did you mean --set {word}?)" if is_one else ""
