"""Turns a sum of unit sets as it is written into goals."""

from collections.abc import Mapping

import numpy as np

from vitjax.errors import InputError, Misspelled
from vitjax.models.core.class_names import NAMELESS, ClassNames
from vitjax.models.core.tap_site import Site
from vitjax.models.dictionaries.directions import DIRECTION
from vitjax.units.algebra import Sum, after, combined, varied
from vitjax.units.expression import Expression, Part, read
from vitjax.units.units import CosinePower, Unit, expand


def goals_of(text: str, taps: Mapping[str, Site], names: ClassNames = NAMELESS) -> list[Unit | CosinePower | Sum]:
    """The goals that a text means: units of a set, or sums of units.

    Of several sets in one sum each has one unit, which goes with all, or as many as the others, which go together in
    their order.

    Args:
        text: a unit set (see `vitjax.units.units.expand`), or a sum of them (see `vitjax.units.expression`).
        taps: of the model, as `model.taps()` gives them.
        names: of the model's classes, `model.class_names`.

    Raises:
        InputError: text that means nothing, unknown taps, indices out of range, names of no class or of several; a
            `Misspelled` that shows the place where the text has several sets.
    """
    expression = read(text, names)
    sets = [_units(part, expression, taps, names) for part in expression.parts]
    count = max(map(len, sets))
    for part, units in zip(expression.parts, sets, strict=True):
        if len(units) not in (1, count):
            raise Misspelled(
                f"{part.units} has {len(units)} units and another set of the sum {count}: sets of one sum have one unit"
                " or as many as each other",
                expression.text,
                part.place,
            )
    rows = zip(*(units * count if len(units) == 1 else units for units in sets), strict=True)
    weights = [part.weight for part in expression.parts]
    goals = [combined(*zip(weights, row, strict=True)) for row in rows]
    if expression.variant is not None:
        goals = [varied(goal, expression.variant) for goal in goals]
    return list(dict.fromkeys(goals))


def _units(part: Part, expression: Expression, taps: Mapping[str, Site], names: ClassNames) -> list:
    try:
        units = expand(part.units, taps, names)
    except InputError as error:
        if part.units == expression.text:
            raise
        raise Misspelled(str(error), expression.text, part.place) from None
    if part.power is not None:
        units = [_cosine(unit, part.power, taps[unit.tap]) for unit in units]
    return [after(unit) for unit in units] if part.after else units


def _cosine(unit: Unit, power: float, site: Site) -> CosinePower:
    if DIRECTION in site.axes:
        raise InputError(
            f"cosine(…) is of the axes of a tap, {unit} is a direction: in Python, CosinePower takes a vector"
        )
    vector = np.zeros(site.units, np.float32)
    vector[unit.index] = 1
    return CosinePower(unit.tap, ".".join(map(str, unit.index)), vector, unit.variant, power)
