"""Top-1, top-5 and loss of a model on images with known classes.

    python -m experiments.accuracy --model FOLDER --images images.zip [--labels classes.csv]

The classes come with the data (a table's label column, Tiny ImageNet's annotations, a folder for each class, or numbers
and WordNet ids before the file names, `0388_n02510455_panda.jpg`), or from a list with `--labels`. For ViT-Ti/16
(augreg, ImageNet-1k) 82.8 % of a thousand ImageNet photographs, one per class, is the known figure.
"""

import argparse
from pathlib import Path

import vitjax
from vitjax.analysis.ablations.accuracy import evaluate, plain
from vitjax.data.dataset import open_dataset


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="demo")
    parser.add_argument("--images", required=True, help="folder, zip, .parquet or hf://datasets/OWNER/NAME")
    parser.add_argument("--split", help="of a table, e.g. validation")
    parser.add_argument("--labels", type=Path, help=".csv, .tsv, .txt or .json of file names and classes")
    parser.add_argument("--batch", type=int, default=50)
    args = parser.parse_args()
    model = vitjax.load(args.model)
    data = open_dataset(args.images, model, split=args.split, batch=args.batch, listed=args.labels)
    batches = data.batches()
    found = evaluate(model, batches, data.labels_for(model), {"model": plain})
    row = found["model"].row()
    for name, reason in batches.unreadable.items():
        print(f"left out {name}: {reason}")
    print("{images} images: top-1 {top1:.1%} ± {top1_error:.1%}, top-5 {top5:.1%}, loss {loss:.3f}".format(**row))


if __name__ == "__main__":
    main()
