"""Paints units by a recipe into a folder; a run that was stopped goes on."""

import contextlib
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from vitjax.models.vit import ViT
from vitjax.optimize.recipes import Recipe
from vitjax.optimize.results.pictures import append
from vitjax.optimize.results.record import read_record
from vitjax.optimize.visualize import paint
from vitjax.optimize.workers import Starts
from vitjax.units.units import Unit


def painted(
    model: ViT,
    name: str,
    recipe: Recipe,
    units: Sequence[Unit],
    out: Path,
    batch: int,
    starts: Starts | None = None,
) -> None:
    """Makes the pictures that `out` does not hold yet, each batch written when it is finished; Ctrl-C ends it.

    Args:
        model: whose units.
        name: of the progress bar.
        recipe: theirs.
        units: what pictures are for.
        out: the folder.
        batch: pictures optimised together on each device.
        starts: gives the images that units begin with, in place of noise.
    """
    known = {row["unit"] for row in read_record(out).get("pictures", [])}
    missing = [unit for unit in units if str(unit) not in known]
    with tqdm(total=len(missing), desc=name, unit="picture") as bar, contextlib.suppress(KeyboardInterrupt):
        for pictures in paint(model, missing, recipe, batch=batch, starts=starts) if missing else ():
            append(out, pictures)
            bar.update(len(pictures))
