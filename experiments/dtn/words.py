"""Tables of results in words, as far as there are any: each a heading and a table of a page."""

import csv
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from experiments.dtn.finished import NORMS

Rows = list[dict[str, str]]
HEAD = """# What came out

Made by `python -m experiments.dtn.report` of what was finished then; [how](../README.md). ± is the standard deviation
over seeds where there are several.
"""


def words(folder: Path) -> str:
    """The page of what lies in a folder of results."""
    parts = [HEAD]
    for name, title, columns, told in TABLES:
        paths = sorted(path for path in folder.glob("*.csv") if re.fullmatch(rf"{name}(-\w+)*\.csv", path.name))
        rows = [line for path in paths for line in told(_read(path), path.stem.removeprefix(name).strip("-"))]
        if rows:
            parts.append(f"## {title}\n\n{_table(columns, rows)}")
    return "\n".join(parts)


def _read(path: Path) -> Rows:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _spread(row: dict[str, str], name: str, factor: float = 1.0, sign: str = "") -> str:
    if not row.get(name):
        return ""
    mean, apart = f"{factor * float(row[name]):{sign}.1f}", row.get(f"{name}_sd")
    return f"{mean} ± {factor * float(apart):.1f}" if apart else mean


def _of_norm(rows: Rows) -> dict[str, Rows]:
    """Rows by their norm, in the order of `NORMS`."""
    found = defaultdict(list)
    for row in rows:
        found[row["norm"]].append(row)
    return {norm: found[norm] for norm in NORMS if norm in found}


def _range(values: Iterable[float], digits: int) -> str:
    values = list(values)
    return f"{min(values):.{digits}f} to {max(values):.{digits}f}"


def _seeds(rows: Rows) -> str:
    return str(len({row["seed"] for row in rows}))


def _accuracy(rows: Rows, of: str) -> list[list[str]]:
    told = lambda row: (_spread(row, "top1", 100), _spread(row, "top1_above_layer", 100, "+"))
    return [
        [row["model"], NORMS[row["norm"]], row["seeds"], *told(row), row["steps"], row["cpu_seconds"]] for row in rows
    ]


def _learned(rows: Rows, of: str) -> list[list[str]]:
    return [
        [of, NORMS[norm], _seeds(some)]
        + [_range((float(row[name]) for row in some), 2) for name in ("lambda", "square", "highest")]
        for norm, some in _of_norm(rows).items()
    ]


def _magnitudes(rows: Rows, of: str) -> list[list[str]]:
    return [
        [of, NORMS[norm], _seeds(some), *(_range((100 * float(row[side]) for row in some), 1) for side in SIDES)]
        for norm, some in _of_norm(rows).items()
    ]


def _distances(rows: Rows, of: str) -> list[list[str]]:
    first = rows[0]["block"]
    return [
        [of, NORMS[norm], _seeds(some)]
        + [_range((float(row["pixels"]) for row in some if all_of or row["block"] == first), 1) for all_of in (0, 1)]
        + [_range((float(row["alike"]) for row in some), 1)]
        for norm, some in _of_norm(rows).items()
    ]


def _corruptions(rows: Rows, of: str) -> list[list[str]]:
    rows = [row for row in rows if row["corruption"] in ("clean", "mean")]
    return [
        [of, NORMS[row["norm"]], row["seeds"], row["images"], row["corruption"]]
        + [_spread(row, name, 100) for name in ("baseline_wrong", "wrong", "ce")]
        for row in rows
    ]


def _pictures(rows: Rows, of: str) -> list[list[str]]:
    return [
        [of, NORMS[norm], *(_range((float(row[name]) for row in some), 2) for name in ("same", "next"))]
        for norm, some in _of_norm(rows).items()
    ]


def _views(rows: Rows, of: str) -> list[list[str]]:
    model, norm = of.split("-", 1)
    return [[model, NORMS[norm], rows[0]["images"], *(f"{float(row['view']):.2f}" for row in (rows[1], rows[-1]))]]


SIDES = "before", "after"
COLUMNS = ("model", "norm", "seeds")
ACCURACY = (*COLUMNS, "top-1, %", "above LN of the same seed", "steps", "processor seconds")
# What a file's name begins with, its heading, columns, and what makes rows of the file's and of what else it is called.
TABLES: tuple[tuple[str, str, tuple[str, ...], Callable[[Rows, str], list[list[str]]]], ...] = (
    ("accuracy", "Accuracy on Tiny ImageNet, 50 classes", ACCURACY, _accuracy),
    ("listops", "Accuracy on ListOps", ACCURACY, _accuracy),
    ("learned", "What DTN learned, all heads", (*COLUMNS, "λ", "factor of the square", "highest weight"), _learned),
    ("magnitudes", "Sizes of tokens: spread within an image, %", (*COLUMNS, "before norms", "after"), _magnitudes),
    ("distances", "Distance of attention, pixels", (*COLUMNS, "first block", "all", "alike"), _distances),
    (
        "corruptions",
        "Errors on corrupted images, %",
        (*COLUMNS, "images", "corruptions", "LN wrong", "wrong", "of LN's"),
        _corruptions,
    ),
    (
        "pictures",
        "The same neurons: correlation with LN's, medians of blocks",
        ("model", "norm", "of the same neuron", "of the next"),
        _pictures,
    ),
    (
        "view-worth",
        "Units and their views: correlation, median of units",
        ("model", "norm", "images", "after one block", "after all"),
        _views,
    ),
)
