"""Trains small models under LayerNorm and Dynamic Token Normalization, by several seeds, and says how right they are.

    python -m experiments.dtn.accuracy --data tiny-50 --runs runs/dtn [--table]

Each run is `vitjax train` of one of `configs/` with its norm replaced; what is finished is not done again, and one that
was stopped goes on where its last checkpoint stands. After each, `results/accuracy.csv` is written anew (`--table`: and
nothing is trained): a row for each model and norm, with means and standard deviations over the seeds.
"""

import argparse
import json
import statistics
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from experiments.dtn.finished import write
from experiments.dtn.runs import Run, all_done, finished, ordered
from vitjax.cli import main as vitjax

HERE = Path(__file__).parent
LAYER, PAPER, OVERWRITTEN = "layer", "dtn", "dtn-overwritten"
ORDER = (
    ("vit", (LAYER, PAPER)),
    ("vit", (OVERWRITTEN,)),
    ("swin", (LAYER, PAPER)),
    ("pvt", (LAYER, PAPER)),
    ("swin", (OVERWRITTEN,)),
    ("pvt", (OVERWRITTEN,)),
)
SEEDS = 3
# The paper's 300 epochs with RandAugment, repeated augmentation, drop path and a mean over steps are for long runs.
RECIPE = {
    "epochs": 5, "warmup": 0.5, "batch": 64, "rate": 4e-3, "least-rate": 1e-5, "least-crop": 0.35, "randaugment": 0,
    "repeats": 1, "drop-path": 0, "average": 0, "smoothing": 0.1, "weight-decay": 0.05, "dtype": "bfloat16-products",
    "save": 200, "keep": 1, "look": 1_000_000,
}  # fmt: skip
MEASURED = ("top1", "top5", "loss")


def train(run: Run, out: Path, data: Path) -> int:
    """Trains one in its folder, by `vitjax train`; gives its exit code."""
    stated = json.loads((HERE / "configs" / f"{run.model}.json").read_text())
    stated["config"]["norm"] = run.norm
    model = out.parent / "configs" / f"{run.model}-{run.norm}.json"
    model.parent.mkdir(parents=True, exist_ok=True)
    model.write_text(json.dumps(stated, indent=1) + "\n")
    words = ["--model", model, "--data", data / "train", "--validation", data / "val", "--out", out, "--seed", run.seed]
    flags = [word for name, value in RECIPE.items() for word in (f"--{name}", value)]
    return vitjax([*map(str, ["train", *words, *flags]), "--no-tensorboard"])


def rows(folder: Path, every: Sequence[Run], measured: Sequence[str] = MEASURED, base: str = LAYER) -> list[dict]:
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
            row |= _spread(name, [one[name] for one in found.values()], 4)
        pairs = [found[seed]["top1"] - one["top1"] for seed, one in kinds[model, base].items() if seed in found]
        row |= _spread("top1_above_layer", pairs if norm != base else [], 4)
        row |= {"steps": next(iter(found.values()))["steps"]}
        row |= {name: round(statistics.mean(one.get(name, 0) for one in found.values())) for name in COSTS}
        table.append(row)
    return table


COSTS = ("seconds", "cpu_seconds")  # of the clock, on a machine that others may use as well, and of its processors


def _spread(name: str, values: Sequence[float], digits: int) -> dict[str, float | str]:
    mean = round(statistics.mean(values), digits) if values else ""
    return {name: mean, f"{name}_sd": round(statistics.stdev(values), digits) if len(values) > 1 else ""}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a folder with train/ and val/, each with a folder for every class")
    parser.add_argument("--runs", type=Path, default=Path("runs/dtn"), help="the folder that holds the runs")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--out", type=Path, default=HERE / "results")
    parser.add_argument("--table", action="store_true", help="write the table of what is finished, and no more")
    args = parser.parse_args()
    every = list(ordered(ORDER, args.seeds))
    table = lambda: write(args.out / "accuracy.csv", rows(args.runs, every))
    if args.table:
        table()
        return 0
    if args.data is None:
        parser.error("the following arguments are required: --data")
    return all_done(every, args.runs, lambda run, out: train(run, out, args.data), table)


if __name__ == "__main__":
    sys.exit(main())
