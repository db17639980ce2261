"""The corruption error of DTN with LN as the baseline: `vitjax analyze corruptions`, seed by seed.

    python -m experiments.dtn.corruption_errors --runs runs/dtn --model vit --data tiny-50/val --limit 500

For each norm and seed of which the run is finished, and that of LayerNorm. What is measured stays with the runs, in
`corruptions/`, and is not measured again on the same images. `results/corruptions-vit.csv` has, for each kind, the
share of images whose first class is not theirs (`wrong`; under LayerNorm `baseline_wrong`), and the errors as a share
of LayerNorm's (`ce`) and of what corruption adds to these (`relative_ce`): means and standard deviations over seeds,
where each seed has one.
"""

import argparse
import json
from collections import defaultdict
from pathlib import Path

from experiments.dtn.finished import add_runs, trained
from experiments.dtn.runs import Run
from experiments.dtn.table import LAYER, write
from experiments.seeds import spread
from vitjax.analysis.perturbed.corruptions import run as corruptions
from vitjax.data.dataset import Dataset, open_dataset

MEASURED = ("wrong", "baseline_wrong", "ce", "relative_ce")


def record(folder: Path) -> dict:
    """What `vitjax analyze corruptions` wrote."""
    return json.loads((folder / "corruptions.json").read_text())


def measured(folder: Path, data: Dataset) -> bool:
    """Whether a folder has what these very images, as many of the same data, said."""
    if not (folder / "corruptions.json").exists():
        return False
    about = record(folder)["settings"]
    named = lambda source: Path(source).parts[-2:]  # a relative path may be from elsewhere
    return (named(about["data"]), about["images"]) == (named(data.images.source), len(data.images))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_runs(parser, data=True)
    parser.add_argument("--norms", nargs="+", default=["dtn"], help="that are held against LayerNorm")
    args = parser.parse_args()
    models, found = trained(args.runs, args.model), defaultdict(list)
    for one, model in models.items():
        baseline = Run(one.model, LAYER, one.seed)
        if one.norm not in args.norms or baseline not in models:
            continue
        data = open_dataset(args.data, model.config, limit=args.limit, batch=50)
        out = args.runs / "corruptions" / one.name
        if not measured(out, data):
            findings = corruptions(model, data, baseline=models[baseline])
            findings.save(out)
            print(one.name, findings.summary, flush=True)
        for row in record(out)["rows"]:
            found[one.norm, row["kind"]].append(row)
    rows = []
    for (norm, kind), each in found.items():
        row = {"norm": norm, "corruption": kind, "seeds": len(each), "images": each[0]["images"]}
        for name in MEASURED:
            values = [one.get(name) for one in each]
            row |= spread(name, [] if None in values else values)
        rows.append(row)
    write(args.out / f"corruptions-{args.model}.csv", rows)


if __name__ == "__main__":
    main()
