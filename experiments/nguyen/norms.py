"""Tokens of huge norm (Darcet et al. 2023): the reason why measures of clusters, and maps of attention, mislead.

`vitjax analyze norms` with random weights beside, and its table of costs as CSV:

    python experiments/nguyen/norms.py --model vit_tiny_patch16_224 --data imagenet-samples/images.zip
"""

import argparse
from dataclasses import replace
from pathlib import Path

import vitjax
from vitjax.analysis.norms.norms import run
from vitjax.analysis.photographs.outliers import OUTLIER
from vitjax.data.dataset import open_dataset


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="demo")
    parser.add_argument("--data", required=True, help="folder, zip, .parquet or hf://datasets/OWNER/NAME")
    parser.add_argument("--times", type=float, default=OUTLIER, help="how many times the median norm")
    parser.add_argument("--labels", type=Path, help="classes: .csv, .tsv, .txt or .json of image and class")
    parser.add_argument("--limit", type=int, help="take so many of the images, evenly spaced")
    parser.add_argument("--batch", type=int, default=25)
    parser.add_argument("--photos", action="store_true", help="show the tokens on photographs, too")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    args = parser.parse_args()
    model = vitjax.load(args.model)
    data = open_dataset(args.data, model.config, limit=args.limit, batch=args.batch, listed=args.labels)
    findings = run(model, data, times=args.times, control=True)
    figures = {name: figure for name, figure in findings.figures.items() if args.photos or not name}
    print(*replace(findings, figures=figures, tables={}).save(args.out), findings.summary, sep="\n")
    if findings.tables:
        cost = replace(findings, rows=findings.tables["norms-cost"].to_pylist())
        (args.out / "norms-cost.csv").write_text(cost.csv())


if __name__ == "__main__":
    main()
