"""The classifier on every patch token by itself (Ghiasi et al. 2022, figure 5 and table 1).

ViT-B/16 at 384 pixels on ImageNet's validation set, top-1 / top-5 in %; the single patch and the pooled heads are from
the logs of the published code:

    class token (the model)          84.20 / 97.17      one patch, token 120 (row 4, column 23)   72.62 / 87.50
    patch average                    75.75 / 90.99      mean of the patches after the norm        83.40 / 96.97
    patch maximum, the best place    80.16 / 95.65      the same with the class token             83.40 / 96.97

So the last block tells every patch nearly all that the class token knows. Here, one line per head and then one for
each patch, and the map of figure 5:

    python experiments/ghiasi/fig5_patch_heads.py --model vit_tiny_patch16_224 --data imagenet-samples/images.zip
    python experiments/ghiasi/fig5_patch_heads.py --data tiny-imagenet-200/val.zip

On the paper's model and data:

    python experiments/ghiasi/fig5_patch_heads.py --data imagenet/val --batch 256 \
        --model timm/vit_base_patch16_384.orig_in21k_ft_in1k
"""

import argparse
from dataclasses import replace
from pathlib import Path

import vitjax
from vitjax.analysis.ablations.patch_heads import run
from vitjax.data.dataset import open_dataset


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="demo")
    parser.add_argument("--data", required=True, help="folder, zip, .parquet or hf://datasets/OWNER/NAME")
    parser.add_argument("--labels", type=Path, help="classes: .csv, .tsv, .txt or .json of image and class")
    parser.add_argument("--limit", type=int, help="take so many of the images, evenly spaced")
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    args = parser.parse_args()
    model = vitjax.load(args.model)
    data = open_dataset(args.data, model.config, limit=args.limit, batch=args.batch, listed=args.labels)
    findings = replace(run(model, data), name=f"fig5-{Path(args.model).name}")
    print(*findings.save(args.out), findings.summary, sep="\n")


if __name__ == "__main__":
    main()
