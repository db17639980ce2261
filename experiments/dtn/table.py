"""Finished runs as a table: means and standard deviations over seeds, and each norm against LayerNorm."""

import csv
import statistics
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from experiments.dtn.runs import Run, finished
from experiments.seeds import spread

LAYER = "layer"
COSTS = ("seconds", "cpu_seconds", "images_per_second")  # of the clock, which others' work slows; of processors


def rows(folder: Path, every: Sequence[Run], measured: Sequence[str], base: str = LAYER) -> list[dict]:
    """A row for each model and norm of which a run is finished.

    Args:
        folder: that holds them.
        every: the runs there may be.
        measured: which numbers of theirs have a mean and a standard deviation over seeds.
        base: the norm that the others are held against, seed by seed.
    """
    kinds = defaultdict(dict)
    for run in every:
        if found := finished(folder / run.name):
            kinds[run.model, run.norm][run.seed] = found
    table = []
    for (model, norm), found in kinds.items():
        row = {"model": model, "norm": norm, "seeds": len(found)}
        for name in measured:
            row |= spread(name, [one[name] for one in found.values()])
        pairs = [
            found[seed]["top1"] - one["top1"] for seed, one in kinds.get((model, base), {}).items() if seed in found
        ]
        row |= spread("top1_above_layer", pairs if norm != base else [])
        row |= {"steps": next(iter(found.values()))["steps"]}
        row |= {name: round(statistics.mean(one.get(name, 0) for one in found.values())) for name in COSTS}
        table.append(row)
    return table


def write(path: Path, rows: Sequence[dict]) -> None:
    """Writes rows as CSV, if there are any, numbers with six digits."""
    if not rows:
        print(f"nothing finished for {path.name}", flush=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: _short(value) for name, value in row.items()} for row in rows)
    print(path, flush=True)


def _short(value: object) -> object:
    return float(f"{float(value):.6g}") if isinstance(value, float | np.floating) else value
