"""How long the class token can do without the patches, and the patches without it (Ghiasi et al. 2022, table 1).

ViT-B/16 at 384 pixels on ImageNet's validation set, top-1 in %. "Isolated": in the first L blocks the class token and
the patches do not see each other; table 1 has L = 11, "Isolating CLS". "Alone": after L blocks the patches are dropped
(the published code calls it TEAR; not in the paper's text). From the table and the logs in the published code, where
isolating has no complete run for L = 3, 7 and 8:

    L           0     1     2     3     4     5     6     7     8     9    10    11    12
    isolated  84.20 83.73 82.98     .  83.22 83.03 82.98     .     .  81.10 80.32 78.61  0.10
    alone      0.10  0.08  0.16  0.09  0.14  0.22  1.66  3.95  8.99 19.89 36.85 71.24 84.20

The other two lines of the table, patch average and patch maximum, are in fig5_patch_heads.py. Here:

    python experiments/ghiasi/table1_class_token.py --model vit_tiny_patch16_224 --data imagenet-samples/images.zip
    python experiments/ghiasi/table1_class_token.py --data tiny-imagenet-200/val.zip --limit 2000

On the paper's model and data:

    python experiments/ghiasi/table1_class_token.py --data imagenet/val --batch 256 \
        --model timm/vit_base_patch16_384.orig_in21k_ft_in1k
"""

import argparse
from dataclasses import replace
from pathlib import Path

import vitjax
from vitjax.analysis.ablations.class_token import run
from vitjax.data.dataset import open_dataset


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="demo")
    parser.add_argument("--data", required=True, help="folder, zip, .parquet or hf://datasets/OWNER/NAME")
    parser.add_argument("--layers", nargs="+", type=int, metavar="L", help="numbers of blocks (default: all)")
    parser.add_argument("--labels", type=Path, help="classes: .csv, .tsv, .txt or .json of image and class")
    parser.add_argument("--limit", type=int, help="take so many of the images, evenly spaced")
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    args = parser.parse_args()
    model = vitjax.load(args.model)
    data = open_dataset(args.data, model.config, limit=args.limit, batch=args.batch, listed=args.labels)
    findings = replace(run(model, data, layers=args.layers), name=f"table1-{Path(args.model).name}")
    print(*findings.save(args.out), findings.summary, findings.csv(), sep="\n")


if __name__ == "__main__":
    main()
