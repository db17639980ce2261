"""A stage of a recipe: a stretch of its steps that has a size, and some settings, of its own."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from vitjax.errors import InputError, nearest
from vitjax.optimize.settings.limits import read
from vitjax.ranges import Range


@dataclass(frozen=True)
class Stage:
    """A stretch of a recipe's steps. What it does not say is as the recipe has it.

    Attributes:
        size: sides of the picture, and of the images that the model is run at, as a share of the model's own; the
            nearest size that the model can be run at is taken. Jitter, in pixels, shrinks with it. Total variation
            does not: enlarged, a picture has as many times the pixels as the squares of its differences are smaller,
            and the variation is a sum of square roots of their sums.
        steps: its part of the recipe's steps, in proportion to the other stages'.
        shallow: power of the depth, from 0 to 1 at the last block, that its number of steps is divided by: with 0 all
            taps take as many steps, with 1 about as many operations.
        learning_rate, total_variation, noise, color_strength: factors of the recipe's. Each stage has a cosine and
            falls to no noise and, where the recipe says so, to no colour shift of its own.
        views, seen, seen_shape, decay: in place of the recipe's; None for the recipe's.
    """

    size: float = 1.0
    steps: float = 1.0
    shallow: float = 0.0
    learning_rate: float = 1.0
    total_variation: float = 1.0
    noise: float = 1.0
    color_strength: float = 1.0
    views: int | None = None
    seen: float | None = None
    seen_shape: str | None = None
    decay: float | None = None

    def __post_init__(self):
        for name, range in RANGES.items():
            object.__setattr__(self, name, range.check(f"recipe: {name} of a stage", getattr(self, name)))


RANGES = {
    "size": Range(0, 1, above=True),
    "steps": Range(0, 10**6, above=True),
    "shallow": Range(0, 2),
    "learning_rate": Range(0, 1000),
    "total_variation": Range(0, 10**6),
    "noise": Range(0, 1000),
    "color_strength": Range(0, 1000),
}
FACTORS = ("learning_rate", "total_variation", "noise", "color_strength")
INSTEAD = ("views", "seen", "seen_shape", "decay")


def stages_of(given: Any) -> tuple[Stage, ...]:
    """Makes stages of what a record or a caller gives: stages, or their fields by name.

    Raises:
        InputError: something else, a field that there is not, or a last stage below the full size.
    """
    if not isinstance(given, Iterable) or isinstance(given, str | Mapping):
        raise InputError(f"recipe: stages is {given!r}, it must be a list of stages")
    stages = tuple(_stage(one) for one in given)
    if stages and stages[-1].size != 1:
        raise InputError(f"recipe: the last stage has size {stages[-1].size}; it makes the picture, so give it size 1")
    return stages


def read_stages(text: str) -> tuple[Stage, ...]:
    """Reads stages as JSON has them: `[{"size": 0.5, "steps": 60}, {"steps": 40}]`, `[]` for none."""
    try:
        found = json.loads(text)
    except ValueError:
        raise InputError(
            f'recipe: stages takes a list in JSON, such as \'[{{"size": 0.5, "steps": 60}}, {{"steps": 40}}]\', not'
            f" {text!r}; one field of one stage is set by stages.0.size=0.5"
        ) from None
    return stages_of(found)


def changed(stages: tuple[Stage, ...], changes: Mapping[str, Any]) -> tuple[Stage, ...]:
    """Gives stages with fields changed that are called "stages.0.size"; values may be texts.

    Raises:
        InputError: a stage or a field that there is not.
    """
    types = {"views": int, "seen_shape": str} | dict.fromkeys((*RANGES, "seen", "decay"), float)
    for name, value in changes.items():
        _, number, field = (*name.split(".", 2), "")[:3]
        if not (number.isdecimal() and int(number) < len(stages)):
            raise InputError(f"this recipe has {len(stages)} stages, counted from 0: there is no {name}")
        if field not in types:
            raise InputError(f"recipe: a stage has no {field!r}{nearest(field, types)}")
        value = read(name, value, types[field]) if isinstance(value, str) else value
        stages = tuple(replace(one, **{field: value}) if i == int(number) else one for i, one in enumerate(stages))
    return stages


def _stage(given: Any) -> Stage:
    if isinstance(given, Stage):
        return given
    known = [field.name for field in fields(Stage)]
    if not isinstance(given, Mapping):
        raise InputError(f"recipe: {given!r} is no stage: give some of its fields, {', '.join(known)}")
    if wrong := [name for name in given if name not in known]:
        raise InputError(f"recipe: a stage has no {wrong[0]!r}{nearest(str(wrong[0]), known)}")
    return Stage(**given)
