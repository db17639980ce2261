"""Looks into all finished runs in one go, and writes what came out as tables in words.

    python -m experiments.dtn.report --runs runs/dtn --data tiny-50 [--listops runs/dtn-listops] [--words]

Tables of accuracy first, then each look into each kind of model of which LayerNorm and another norm are finished; what
is not is left out and named. A look that fails is named at the end, and the others go on. `results/README.md` is made
of the tables that there are; `--words` writes that alone.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from experiments.dtn.accuracy import MODELS
from experiments.dtn.runs import RESULT
from experiments.dtn.table import LAYER
from experiments.dtn.words import words

HERE = Path(__file__).parent
# Scripts of this folder that look into a kind of model, and how many images each takes, None for those that take none.
LOOKS = {"learned": None, "magnitudes": 500, "distances": 500, "corruption_errors": 200, "pictures": 500, "views": 200}


def ready(runs: Path, model: str) -> str:
    """Why a kind of model cannot be looked into yet; empty if it can."""
    norms = {path.parent.name.split("-", 1)[1].rsplit("-", 1)[0] for path in runs.glob(f"{model}-*-*/{RESULT}")}
    if LAYER not in norms:
        return f"{model}: no run under LayerNorm is finished"
    return "" if len(norms) > 1 else f"{model}: no run under DTN is finished"


def commands(args: argparse.Namespace) -> dict[str, list[str]]:
    """The scripts to run, by what they are called, each with its arguments."""
    out = ["--out", str(args.out)]
    found = {"accuracy": ["--runs", str(args.runs), "--table", *out]}
    found |= {"listops_runs": ["--runs", str(args.listops), "--table", *out]}
    for model in MODELS:
        if why := ready(args.runs, model):
            print(f"left out: {why}", flush=True)
            continue
        for look, images in LOOKS.items():
            seen = [] if images is None else ["--data", str(args.data / "val"), "--limit", str(args.limit or images)]
            found[f"{look} of {model}"] = ["--runs", str(args.runs), "--model", model, *seen, *out]
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs/dtn"), help="the folder that holds the runs")
    parser.add_argument("--listops", type=Path, default=Path("runs/dtn-listops"), help="that of Long ListOps")
    parser.add_argument("--data", type=Path, help="the folder with val/ that the runs were measured on")
    parser.add_argument("--limit", type=int, help="take so many images everywhere, in place of each look's own number")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    parser.add_argument("--words", action="store_true", help="write results/README.md of the tables there are, no more")
    args = parser.parse_args()
    if args.data is None and not args.words:
        parser.error("the following arguments are required: --data")
    failed = []
    for name, arguments in ({} if args.words else commands(args)).items():
        print(f"{name} …", flush=True)
        if subprocess.run([sys.executable, "-m", f"experiments.dtn.{name.split()[0]}", *arguments]).returncode:
            failed.append(name)
    (args.out / "README.md").write_text(words(args.out))
    print(args.out / "README.md", flush=True)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
