"""What a model sees without positions, and with its patches shuffled (Ghiasi et al. 2022, the published code).

Not in the paper's text; comments in `experiments/it7/no_pos.py` give, for ImageNet's validation set, about (top-1, %):

                                            ViT-B/16    ViT-B/32
    the model                                  84          81
    position embeddings set to zero            22          58
    position embeddings from N(0, 0.02)        22          58
    patches of the image shuffled              33          54

There the class token's position goes too; here a model keeps the sum of class token and position, and it stays.

    python experiments/ghiasi/positions.py --model vit_tiny_patch16_224 --data imagenet-samples/images.zip
    python experiments/ghiasi/positions.py --data tiny-imagenet-200/val.zip

On the code's ViT-B/16 and data:

    python experiments/ghiasi/positions.py --data imagenet/val --batch 256 \
        --model timm/vit_base_patch16_384.orig_in21k_ft_in1k
"""

import argparse
from dataclasses import replace
from pathlib import Path

import vitjax
from vitjax.analysis.ablations.positions import run
from vitjax.data.dataset import open_dataset


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="demo")
    parser.add_argument("--data", required=True, help="folder, zip, .parquet or hf://datasets/OWNER/NAME")
    parser.add_argument("--seed", type=int, default=0, help="of random positions and shuffles")
    parser.add_argument("--labels", type=Path, help="classes: .csv, .tsv, .txt or .json of image and class")
    parser.add_argument("--limit", type=int, help="take so many of the images, evenly spaced")
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    args = parser.parse_args()
    model = vitjax.load(args.model)
    data = open_dataset(args.data, model.config, limit=args.limit, batch=args.batch, listed=args.labels)
    findings = replace(run(model, data, seed=args.seed), name=f"positions-{Path(args.model).name}")
    print(*findings.save(args.out), findings.summary, findings.csv(), sep="\n")


if __name__ == "__main__":
    main()
