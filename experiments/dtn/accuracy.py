"""Trains small models under LayerNorm and Dynamic Token Normalization, by several seeds, and says how right they are.

    python -m experiments.dtn.accuracy --data tiny-50 --runs runs/dtn [--table]

Each run is `vitjax train` of one of `configs/` with its norm replaced; what is finished is not done again, and one that
was stopped goes on where its last checkpoint stands. After each, `results/accuracy.csv` is written anew (`--table`: and
nothing is trained): a row for each model and norm, with means and standard deviations over the seeds.
"""

import argparse
import json
import sys
from pathlib import Path

from experiments.dtn.runs import Run, all_done, ordered
from experiments.dtn.table import LAYER, rows, write
from vitjax.cli import main as vitjax

HERE = Path(__file__).parent
PAPER, OVERWRITTEN = "dtn", "dtn-overwritten"
MODELS = "vit", "swin", "pvt"
NORMS = LAYER, PAPER, OVERWRITTEN
ORDER = (*((model, (LAYER, PAPER)) for model in MODELS), *((model, (OVERWRITTEN,)) for model in MODELS))
SEEDS = 3
# The paper's 300 epochs with RandAugment, repeated augmentation, drop path and a mean over steps are for long runs.
RECIPE = {
    "epochs": 3, "warmup": 0.5, "batch": 64, "rate": 4e-3, "least-rate": 1e-5, "least-crop": 0.35, "randaugment": 0,
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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a folder with train/ and val/, each with a folder for every class")
    parser.add_argument("--runs", type=Path, default=Path("runs/dtn"), help="the folder that holds the runs")
    parser.add_argument("--models", nargs="+", default=MODELS, choices=MODELS, help="of these alone")
    parser.add_argument("--norms", nargs="+", default=NORMS, choices=NORMS, help="by these alone")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--out", type=Path, default=HERE / "results")
    parser.add_argument("--table", action="store_true", help="write the table of what is finished, and no more")
    args = parser.parse_args()
    every = [run for run in ordered(ORDER, args.seeds) if run.model in args.models and run.norm in args.norms]
    table = lambda: write(args.out / "accuracy.csv", rows(args.runs, every, MEASURED))
    if args.table:
        table()
        return 0
    if args.data is None:
        parser.error("the following arguments are required: --data")
    return all_done(every, args.runs, lambda run, out: train(run, out, args.data), table)


if __name__ == "__main__":
    sys.exit(main())
