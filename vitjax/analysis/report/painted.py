"""Gives the pictures of units, from a folder that `vitjax visualize` made, or painted now."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from vitjax.analysis.report.grading import read_finished
from vitjax.errors import InputError
from vitjax.models.core.network import Network
from vitjax.optimize.recipes import Recipe
from vitjax.optimize.visualize import visualize
from vitjax.units.units import Unit, expand, sample


def painted(
    model: Network,
    units: str | Iterable[str] | None = None,
    *,
    folder: Path | None = None,
    count: int | None = None,
    recipe: str | Recipe = "default",
    seed: int = 0,
) -> dict[Unit, UInt8[np.ndarray, "h w 3"]]:
    """Gives the pictures of units, in the order of the units.

    Args:
        model: that they are painted for.
        units: unit sets; default all that the folder has, or without one all neurons of all blocks.
        folder: pictures made before; nothing is painted, and nothing is written there.
        count: take so many of the units, evenly over their taps.
        recipe: how pictures are made where there is no folder.
        seed: of the draw and of the pictures.

    Raises:
        InputError: units that the folder has no picture of, pictures of another model, or unknown units.
    """
    known = {}
    if folder is not None:
        entries, _ = read_finished(folder, model)
        known = dict(zip(entries.units, entries.images, strict=True))
    sets = f"{model.neurons}:*" if units is None and folder is None else units
    wanted = list(known) if sets is None else expand(sets, model.taps(), model.class_names)
    wanted = sample(wanted, count, seed) if count else wanted
    if folder is None:
        pictures = visualize(model, wanted, recipe, seed=seed)
        return dict(zip(pictures.units, pictures.images, strict=True))
    if lacking := [unit for unit in wanted if unit not in known]:
        raise InputError(f"{folder} holds no picture of {lacking[0]} ({len(lacking)} lacking)")
    return {unit: known[unit] for unit in sorted(wanted, key=_order)}


def _order(unit: Unit) -> Sequence:
    return [int(part) if part.isdigit() else part for part in unit.tap.split(".")], unit.index
