"""Neurons of a CLIP image tower that stand for more than things (Ghiasi et al. 2022, figure 8).

The paper shows neurons of layer 5 of CLIP's ViT, each with its picture, its best photographs and their maps, and calls
them "before and after" or "step by step", "from above", "many". It gives no numbers; its appendix has three neurons of
that layer of CLIP-B/16: 12, 17 and 50, which are the default here.

    python experiments/ghiasi/fig8_clip.py --model timm/vit_base_patch16_clip_224.openai --data imagenet/val \
        --recipe ghiasi --set learning_rate=1 total_variation=0.015

(1 is the paper's learning rate for CLIP; it paints these with 30 times the usual total variation.) The same figure for
neurons of any other model:

    python experiments/ghiasi/fig8_clip.py --model vit_tiny_patch16_224 --data imagenet-samples/images.zip \
        --pictures pictures/
"""

import argparse
from dataclasses import replace
from pathlib import Path

import vitjax
from vitjax.analysis.report.painted import painted
from vitjax.analysis.units.maps import run
from vitjax.data.dataset import open_dataset
from vitjax.optimize.recipes import choose

UNITS = ["blocks.5.mlp.hidden:12,17,50"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="timm/vit_base_patch16_clip_224.openai")
    parser.add_argument("--data", required=True, help="photographs: folder, zip, .parquet or hf://datasets/OWNER/NAME")
    parser.add_argument("--units", nargs="+", help=f"unit sets (default: all of --pictures, else {' '.join(UNITS)})")
    parser.add_argument("--pictures", type=Path, help="folder that `vitjax visualize` made")
    parser.add_argument("--count", type=int, help="draw so many of the units")
    parser.add_argument("--recipe", default="default", help="how pictures are painted without --pictures")
    parser.add_argument("--set", nargs="+", default=[], metavar="FIELD=VALUE", help="change fields of the recipe")
    parser.add_argument("--k", type=int, default=5, help="photographs of each neuron")
    parser.add_argument("--limit", type=int, help="take so many of the photographs, evenly spaced")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    args = parser.parse_args()
    model = vitjax.load(args.model)
    data = open_dataset(args.data, model.config, limit=args.limit, batch=args.batch)
    recipe = choose(args.recipe, **dict(pair.split("=", 1) for pair in args.set))
    units = args.units or (None if args.pictures else UNITS)
    pictures = painted(model, units, folder=args.pictures, count=args.count, recipe=recipe)
    pictures = {str(unit): picture for unit, picture in pictures.items()}
    findings = replace(run(model, data, units=pictures, k=args.k, pictures=pictures), name="fig8")
    print(*findings.save(args.out), findings.summary, sep="\n")


if __name__ == "__main__":
    main()
