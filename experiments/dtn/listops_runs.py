"""Trains small Transformers on short ListOps under LayerNorm and DTN, by several seeds, and says how right they are.

    python -m experiments.dtn.listops_runs --runs runs/dtn-listops [--table]

Each run is `experiments.dtn.listops` with plain attention, BigBird's or Reformer's. What is finished is not done again,
and one that was stopped goes on. After each, `results/listops.csv` is written anew (`--table`: and nothing is trained).
"""

import argparse
import sys
from pathlib import Path

from experiments.dtn.accuracy import PAPER, SEEDS
from experiments.dtn.listops import main as listops
from experiments.dtn.runs import Run, all_done, ordered
from experiments.dtn.table import LAYER, rows, write

ORDER = tuple((model, (LAYER, PAPER)) for model in ("plain", "bigbird", "reformer"))
RECIPE = {"length": 64, "part": 8, "steps": 2000, "warmup": 200, "examples": 64_000, "dtype": "bfloat16-products"}


def train(run: Run, out: Path) -> int:
    """Trains one in its folder; gives its exit code."""
    words = ["--model", run.model, "--norm", run.norm, "--seed", run.seed, "--out", out]
    return listops([*map(str, [*words, *(word for name, value in RECIPE.items() for word in (f"--{name}", value))])])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs/dtn-listops"), help="the folder that holds the runs")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--table", action="store_true", help="write the table of what is finished, and no more")
    args = parser.parse_args()
    every = list(ordered(ORDER, args.seeds))
    table = lambda: write(args.out / "listops.csv", rows(args.runs, every, ("top1",)))
    if args.table:
        table()
        return 0
    return all_done(every, args.runs, train, table)


if __name__ == "__main__":
    sys.exit(main())
