"""Neurons of a CLIP image tower that stand for more than things, and for concepts (Ghiasi et al. 2022, figures 8, 9).

Figure 8 shows neurons of layer 5 of CLIP's ViT, each with its picture, its best photographs and their maps, and calls
them "before and after" or "step by step", "from above", "many"; the appendix has three neurons of that layer of
CLIP-B/16: 12, 17 and 50. Figure 9 shows two neurons of layer 10, "morbidity" (in the published files, neuron 20) and
"music" (55), each with seven photographs that were chosen among the ten best of ImageNet's validation set; here are the
seven best. The paper gives no numbers.

    python -m experiments.ghiasi.fig8_fig9_clip --model timm/vit_base_patch16_clip_224.openai --data imagenet/val \
        --recipe ghiasi --set learning_rate=1 total_variation=0.015
    python -m experiments.ghiasi.fig8_fig9_clip --figure 9 --data imagenet/val --recipe ghiasi --set learning_rate=1

(1 is the paper's learning rate for CLIP; it paints those of figure 8 with 30 times the usual total variation.) The same
figures for neurons of any other model:

    python -m experiments.ghiasi.fig8_fig9_clip --model vit_tiny_patch16_224 --data imagenet-samples/images.zip \
        --pictures pictures/ --figure 9 --units blocks.9.mlp.hidden:12,318
"""

from dataclasses import replace
from pathlib import Path

from experiments import script
from vitjax.analysis.report.painted import painted
from vitjax.analysis.units.maps import run
from vitjax.optimize.recipes import choose

# {figure: (its neurons, photographs of each)}
FIGURES = {8: ("blocks.5.mlp.hidden:12,17,50", 5), 9: ("blocks.10.mlp.hidden:20,55", 7)}


def main() -> None:
    parser = script.parser(__doc__, __file__, "timm/vit_base_patch16_clip_224.openai")
    script.add_data(parser)
    parser.add_argument("--figure", type=int, choices=FIGURES, default=8)
    parser.add_argument("--units", nargs="+", help="unit sets (default: all of --pictures, else the figure's)")
    parser.add_argument("--pictures", type=Path, help="folder that `vitjax visualize` made")
    parser.add_argument("--count", type=int, help="draw so many of the units")
    parser.add_argument("--recipe", default="default", help="how pictures are painted without --pictures")
    parser.add_argument("--set", nargs="+", default=[], metavar="FIELD=VALUE", help="change fields of the recipe")
    parser.add_argument("--k", type=int, help="photographs of each neuron (default: the figure's)")
    args = parser.parse_args()
    (units, k), (model, data) = FIGURES[args.figure], script.opened(args)
    recipe = choose(args.recipe, **dict(pair.split("=", 1) for pair in args.set))
    units = args.units or (None if args.pictures else [units])
    pictures = painted(model, units, folder=args.pictures, count=args.count, recipe=recipe)
    pictures = {str(unit): picture for unit, picture in pictures.items()}
    findings = run(model, data, units=pictures, k=args.k or k, pictures=pictures)
    script.keep(args, replace(findings, name=f"fig{args.figure}"))


if __name__ == "__main__":
    main()
