"""Checks that a number lies in its range and is whole where it must be; one line says what it is and what it may be."""

from dataclasses import dataclass
from numbers import Integral, Real

from vitjax.errors import InputError


@dataclass(frozen=True)
class Range:
    """The numbers that something may be.

    Attributes:
        least, most: both belong to it.
        whole: only whole numbers do.
        above: `least` itself does not.
    """

    least: float
    most: float
    whole: bool = False
    above: bool = False

    def __str__(self) -> str:
        kind = "a whole number of" if self.whole else "a number of"
        return f"{kind} {'more than' if self.above else 'at least'} {self.least} and at most {self.most}"

    def check(self, what: str, value: object) -> int | float:
        """Gives a number of the range as Python's own, an int where it is whole, else a float.

        Args:
            what: how the message calls it.
            value: Python's or numpy's number. True and False are none, nor is a text.

        Raises:
            InputError: it is no number, not whole, or out of range, as NaN always is.
        """
        number = isinstance(value, Integral if self.whole else Real) and not isinstance(value, bool)
        if not (number and self.least <= value <= self.most and not (self.above and value == self.least)):
            raise InputError(f"{what} is {value if number else repr(value)}, it must be {self}")
        return int(value) if self.whole else float(value)


COUNT = Range(1, 2**31 - 1, whole=True)  # of things
SEED = Range(0, 2**32 - 1, whole=True)
