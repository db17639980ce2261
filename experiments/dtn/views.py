"""How far a unit's activation follows its view (Nguyen et al. 2022), under LN and DTN: `vitjax analyze view-worth`.

    python -m experiments.dtn.views --runs runs/dtn --model vit --data tiny-50/val --limit 200

Of the finished runs of seed 0. `results/view-worth-vit-dtn.csv` has a row for each number of blocks gone through: the
correlation of a unit with its view over photographs, median over units, and with its local view alone. Models without
global attention have no views, which is said.
"""

import argparse

from experiments.dtn.finished import add_runs, trained
from experiments.dtn.table import write
from vitjax.analysis.views.view_worth import run as view_worth
from vitjax.data.dataset import open_dataset
from vitjax.errors import InputError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args = add_runs(parser, data=True).parse_args()
    for run, model in trained(args.runs, args.model).items():
        if run.seed:
            continue
        try:
            found = view_worth(model, open_dataset(args.data, model.config, limit=args.limit, batch=50))
        except InputError as error:
            print(f"{run.name}: {error}", flush=True)
            continue
        write(args.out / f"view-worth-{run.model}-{run.norm}.csv", found.rows)


if __name__ == "__main__":
    main()
