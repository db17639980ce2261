"""Says which parameters learn at another rate than the rest, or are drawn to zero less: a table of names' patterns."""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

from vitjax.errors import InputError, nearest
from vitjax.ranges import Range

FACTOR = Range(0, 1e6)
OWN = {  # what norms of some kinds alone have, by the ends of names
    ".position": "only norms of DTN have positions",
    ".mix": "only norms of DTN and switchable ones mix statistics",
}


class Group(NamedTuple):
    """Parameters whose dotted name, e.g. `model.blocks.norm1.scale`, a pattern of a shell fits.

    Attributes:
        pattern: `*` stands for any letters, dots too.
        rate: factor of the learning rate.
        decay: factor of the weight decay.
    """

    pattern: str
    rate: float = 1.0
    decay: float = 1.0


# The last that fits says. What has one axis, but for that of the blocks, has no decay anyway.
GROUPS = (
    Group("*"),
    Group("*bias", decay=0.0),
    Group("*.scale*", decay=0.0),  # of norms and branches
    Group("*position", decay=0.0),  # of DTN's heads, too: to be drawn to zero would widen what they see
    Group("*.distances", decay=0.0),
    Group("*prefix*", decay=0.0),
    Group("*.token", decay=0.0),
    Group("*.bias.fc?.kernel", decay=0.0),  # make tables of distances (Swin V2)
    Group("*.mix", decay=0.0),  # how much of each statistic a norm takes: λ of DTN, of switchable norms
    Group("*.mix_*", decay=0.0),
)


def groups(text: str) -> tuple[Group, ...]:
    """Reads `PATTERN=RATE` and `PATTERN=RATE:DECAY`, with commas between them.

    Raises:
        InputError: something else.
    """
    found = []
    for part in filter(None, map(str.strip, text.split(","))):
        pattern, equals, factors = part.rpartition("=")
        try:
            if not equals or not pattern:
                raise ValueError(part)
            numbers = [float(number) for number in factors.split(":", 1)]
        except ValueError:
            raise InputError(
                f"groups: {part!r} is not PATTERN=RATE or PATTERN=RATE:DECAY, such as '*norm*.position=0.1:0'"
            ) from None
        names = (f"the rate of {pattern}", f"the decay of {pattern}")
        found.append(Group(pattern, *(FACTOR.check(name, one) for name, one in zip(names, numbers, strict=False))))
    return tuple(found)


def sought(names: Sequence[str], more: Iterable[Group]) -> None:
    """Checks that each pattern that was asked for fits a parameter: one that fits none would change nothing.

    Raises:
        InputError: one that does not, with a name that is near.
    """
    for group in more:
        if not any(fnmatchcase(name, group.pattern) for name in names):
            near = nearest(group.pattern.strip("*."), {part for name in names for part in name.split(".")})
            raise InputError(
                f"groups: no parameter is called {group.pattern}{near}; one is {names[-1]}. It would change nothing in"
                f" this model: leave it out{_alone(group.pattern)}"
            )


def _alone(pattern: str) -> str:
    """Says which models alone have what a pattern means, where that is no part of a name near to others."""
    return next((f" ({said})" for end, said in OWN.items() if "norm" in pattern and pattern.endswith(end)), "")


def group(name: str, axes: int, more: Iterable[Group] = ()) -> Group:
    """The factors of a parameter.

    Args:
        name: dotted.
        axes: how many it has, without that of stacked blocks.
        more: rows after those of the table.
    """
    asked = [one for one in more if fnmatchcase(name, one.pattern)]
    if asked:
        return asked[-1]
    found = [one for one in GROUPS if fnmatchcase(name, one.pattern)][-1]
    return found if axes > 1 else found._replace(decay=0.0)
