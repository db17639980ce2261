"""The trainings of this folder: which there are, in which order, and what is known of one that is finished."""

import json
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

RESULT, COST = "result.json", "cost.json"


@dataclass(frozen=True)
class Run:
    """One training.

    Attributes:
        model: its kind, e.g. vit.
        norm: a key of `vitjax.models.parts.norm.NORMS`.
        seed: of weights, order and views.
    """

    model: str
    norm: str
    seed: int

    @property
    def name(self) -> str:
        """That of its folder."""
        return f"{self.model}-{self.norm}-{self.seed}"


def ordered(groups: Sequence[tuple[str, Sequence[str]]], seeds: int) -> Iterator[Run]:
    """All runs: of (model, norms) after one another, seed by seed, so that norms can be compared early."""
    for model, norms in groups:
        for seed in range(seeds):
            for norm in norms:
                yield Run(model, norm, seed)


def finished(folder: Path) -> dict | None:
    """What a run measured and cost; None where it is not finished."""
    if not (folder / RESULT).exists():
        return None
    found = json.loads((folder / RESULT).read_text())
    curve = [json.loads(line) for line in (folder / "curve.jsonl").read_text().splitlines()]
    curve = [row for row in curve if "images_per_second" in row]  # others are what was measured on the way
    cost = json.loads((folder / COST).read_text()) if (folder / COST).exists() else {}
    cost["images_per_second"] = statistics.median(row["images_per_second"] for row in curve)
    return {**found, "seconds": curve[-1]["seconds"], **cost}


def all_done(every: Sequence[Run], folder: Path, train: Callable[[Run, Path], int], after: Callable[[], None]) -> int:
    """Trains what is not finished, one after another; gives the first exit code that is not 0.

    Args:
        every: of them.
        folder: that holds theirs.
        train: trains one in a folder, from wherever it stands; gives the exit code.
        after: done after each.
    """
    after()
    for run in every:
        if finished(out := folder / run.name):
            continue
        print(f"{time.strftime('%F %T')} {run.name}", flush=True)
        begun = time.process_time()
        code = train(run, out)
        if out.exists():
            _charge(out, time.process_time() - begun)
        if code:
            return code
        after()
    return 0


def _charge(folder: Path, seconds: float) -> None:
    """Adds the time that processors spent to what the run has cost so far."""
    path = folder / COST
    before = json.loads(path.read_text())["cpu_seconds"] if path.exists() else 0
    written = path.with_suffix(".part")
    written.write_text(json.dumps({"cpu_seconds": round(before + seconds, 1)}) + "\n")
    os.replace(written, path)
