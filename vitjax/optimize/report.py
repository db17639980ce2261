"""`vitjax visualize` as it runs: progress on the terminal, pictures into a folder as they are finished."""

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from vitjax.files import writable_folder
from vitjax.models.core.execution import Execution
from vitjax.models.core.network import Network
from vitjax.optimize.beside.watch import NOTHING, Watch
from vitjax.optimize.objectives import Goal
from vitjax.optimize.photographs.accentuation import accentuated
from vitjax.optimize.photographs.starts import Beginnings, photographs, whole
from vitjax.optimize.recipes import Recipe
from vitjax.optimize.results.pictures import append, write_sheet, write_table
from vitjax.optimize.visualize import check, drawing, paint, resolve, varied
from vitjax.progress import spelled
from vitjax.units.tables import Table
from vitjax.units.units import sample

SAMPLE = 36  # pictures made where no units are named


def run_visualize(
    model: Network,
    units: Sequence[str | Goal],
    recipe: Recipe,
    *,
    out: Path,
    sample_count: int | None,
    seed: int,
    batch: int | None,
    execution: Execution,
    tabled: Callable[[Network, list[Goal]], Table] | None = None,
    weighed: Callable[[Network, list[Goal], Recipe], list[Goal]] | None = None,
    starts: Any = None,
    near: tuple[str, float] | None = None,
    watch: Watch = NOTHING,
) -> int:
    """Makes the pictures of `units` in `out`, keeps what is finished when Ctrl-C comes; gives the exit code.

    `tabled` makes a table of the goals, of which a sheet is drawn; `weighed` gives all goals other weights. `starts`
    are photographs that they begin with, `near` the tap at which they stay near these and how strongly; `watch` says
    what is kept of the way.
    """
    goals = resolve(model, units or f"{model.neurons}:*")
    count = sample_count or (None if units else SAMPLE)
    goals = sample(goals, count, seed) if count else goals
    table = tabled and tabled(model, goals)
    goals = table.goals if table else goals
    if weighed:
        new = weighed(model, goals, recipe)
        table = table and table.mapped(dict(zip(map(str, goals), new, strict=True)))
        goals = list({str(goal): goal for goal in new}.values())
    begun = None
    if starts is not None:
        recipe, begun = whole(recipe), Beginnings(photographs(model, starts), tuple(goals))
        goals = accentuated(model, goals, begun, *near, recipe) if near else goals
        begun = Beginnings(begun.photographs, tuple(goals))
    goals = varied(goals, recipe)
    check(model, recipe, seed, goals)  # a mistake is said before a bar is drawn or a folder made
    writable_folder(out)
    finished, interrupted, clock = 0, False, time.perf_counter()
    with drawing() as show:
        try:
            for pictures in paint(
                model,
                goals,
                recipe,
                seed=seed,
                batch=batch,
                execution=execution,
                starts=begun,
                watch=watch,
                progress=show,
            ):
                append(out, pictures)
                finished += len(pictures)
        except KeyboardInterrupt:
            interrupted = True
    if interrupted:
        print(f"vitjax: interrupted; {finished} of {len(goals)} pictures are finished", file=sys.stderr)
    if finished:
        spent = spelled(time.perf_counter() - clock)
        many = "1 picture" if finished == 1 else f"{finished} pictures"
        print(f"{many} in {out}{painted_in(model.dtype)}, {spent}")
        print(f"contact sheet: {write_sheet(out)}")
    if finished and table:
        print(f"table: {write_table(out, table)}")
    return 130 if interrupted else 0


def painted_in(dtype: object) -> str:
    """Says the dtype in which pictures were painted, where it is not the one that all is measured in."""
    return "" if str(dtype) == "float32" else f", painted in {dtype}"
