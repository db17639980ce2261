"""Accuracy and embeddings when the tiles of an image are shuffled (Nguyen et al. 2022, A.4).

The paper shuffles 2x2, 4x4, 8x8 and 14x14 tiles and looks at t-SNE maps and clusters, not at accuracy; it has no
control. Here a model with random weights stands beside: what it keeps, no training has brought about.

    python experiments/nguyen/shuffle.py --model vit_tiny_patch16_224 --data imagenet-samples/images.zip

On the paper's model:

    python experiments/nguyen/shuffle.py --model timm/vit_base_patch16_224.orig_in21k_ft_in1k \
        --data imagenet/val --batch 256

A convolutional network, which the authors do not ask, does as well: torchvision's `--model resnet50-0676ba61.pth`.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import vitjax
from vitjax.analysis.perturbed.shuffle import run
from vitjax.data.dataset import open_dataset


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="demo")
    parser.add_argument("--data", required=True, help="folder, zip, .parquet or hf://datasets/OWNER/NAME")
    parser.add_argument("--grids", nargs="+", type=int, help="tiles along each side (default: 2, 4, 8 and the patches)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--labels", type=Path, help="classes: .csv, .tsv, .txt or .json of image and class")
    parser.add_argument("--limit", type=int, help="take so many of the images, evenly spaced")
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    args = parser.parse_args()
    model = vitjax.load(args.model)
    data = open_dataset(args.data, model.config, limit=args.limit, batch=args.batch, listed=args.labels)
    findings = run(model, data, grids=args.grids, control=True, seed=args.seed)
    layers = replace(findings, rows=findings.tables["shuffle-layers"].to_pylist())
    print(*replace(findings, tables={}).save(args.out), findings.summary, findings.csv(), sep="\n")
    (args.out / "shuffle-layers.csv").write_text(layers.csv())


if __name__ == "__main__":
    main()
