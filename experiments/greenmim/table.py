"""What pretraining is good for: accuracies of finished runs as a table, and the curves of those that pretrained.

    python -m experiments.greenmim.table [--runs runs] [--out experiments/greenmim/results]

A row is a kind of run: folders named alike but for a seed at their end, as `README.md` names them (`tuned-0`,
`tuned-1`, `scratch-0`, …). Of several seeds it gives mean and standard deviation. Runs that are not finished are named
and left out.
"""

import argparse
import csv
import json
import re
from collections import defaultdict
from pathlib import Path

from experiments.seeds import spread
from vitjax.analysis.study.style import panels, style

RECORDS = ("result.json", "probe.json")  # of a training, of a probe
MEASURED = ("top1", "top5", "loss")


def finished(run: Path) -> dict | None:
    """The accuracy of a run; None where there is none, or not yet."""
    found = [json.loads((run / name).read_text()) for name in RECORDS if (run / name).exists()]
    return found[0] if found and MEASURED[0] in found[0] else None


def table(runs: Path) -> list[dict]:
    """A row for each kind of run."""
    kinds, left = defaultdict(list), []
    for run in sorted(path for path in runs.iterdir() if path.is_dir()):
        if found := finished(run):
            kinds[re.sub(r"-\d+$", "", run.name)].append(found)
        elif any((run / name).exists() for name in ("training.json", *RECORDS)):
            left.append(run.name)
    if left:
        print(f"without an accuracy: {', '.join(left)}")
    rows = []
    for kind, found in kinds.items():
        row = {"runs": kind, "seeds": len(found)}
        for name in MEASURED:
            row |= spread(name, [one[name] for one in found])
        rows.append(row)
    return rows


def curves(runs: Path) -> dict[str, list[dict]]:
    """The curves of what pretrained."""
    found = {}
    for path in sorted(runs.glob("*/curve.jsonl")):
        if json.loads((path.parent / "training.json").read_text())["training"] == "pretrain":
            found[path.parent.name] = [json.loads(line) for line in path.read_text().splitlines()]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="the folder that holds the runs")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    rows, found = table(args.runs), curves(args.runs)
    if rows:
        with (args.out / "accuracy.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    for row in rows:
        print(row)
    if found:
        with style():
            figure, (axes,) = panels()
            for name, curve in found.items():
                axes.plot([row["epoch"] for row in curve], [row["loss"] for row in curve], label=name)
            axes.set(xlabel="epoch", ylabel="loss of masked units")
            axes.legend()
            figure.savefig(args.out / "pretraining.png")


if __name__ == "__main__":
    main()
