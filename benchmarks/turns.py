"""Times several programs that take turns in one run, and says how many times vitjax's time the others took."""

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from vitjax.bench.rates import machine

Run = Callable[[int], None]  # runs so many steps


def timed(runs: dict[str, tuple[Run, int]], steps: int, rounds: int) -> dict[str, list[float]]:
    """Seconds per step and picture of each contender, {name: (run, pictures)}, round by round."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(rounds + 1):
        for name, (run, pictures) in runs.items():
            clock = time.perf_counter()
            run(steps)
            if turn:  # the first turn compiles and warms up
                seconds[name].append((time.perf_counter() - clock) / steps / pictures)
    return seconds


def compared(what: str, seconds: dict[str, list[float]]) -> dict:
    """Prints how many times vitjax's time the others took, and gives that round by round, beside the seconds."""
    ratios = {
        name: [slow / fast for slow, fast in zip(seconds[name], seconds["vitjax"], strict=True)]
        for name in seconds
        if name != "vitjax"
    }
    spread = ", ".join(
        f"{name} {statistics.median(seconds[name]):.3f} s = {statistics.median(found):.2f} times"
        f" ({min(found):.2f}-{max(found):.2f})"
        for name, found in ratios.items()
    )
    print(f"{what}: vitjax {statistics.median(seconds['vitjax']):.3f} s a step; {spread}", flush=True)
    return {"ratios": ratios, "seconds_per_step": seconds}


def write(rows: list[dict], about: dict, out: Path | None) -> None:
    """Prints the means over the rows, and writes all of it where that is asked."""
    names = rows[0]["ratios"]
    means = {name: statistics.mean(statistics.median(row["ratios"][name]) for row in rows) for name in names}
    print("mean: " + ", ".join(f"{name} {mean:.2f} times vitjax's time" for name, mean in means.items()))
    if out:
        record = {"machine": machine() | {"torch": torch.__version__}} | about | {"means": means, "rows": rows}
        out.write_text(json.dumps(record, indent=1) + "\n")
