"""What a neuron is painted as, the photograph that it responds to most, and where on it (Ghiasi et al. 2022, figure 2).

The paper shows chosen neurons of ViT-B/16 at 384 pixels: the picture, the image of ImageNet's validation set with the
highest mean activation over its patches, and the activation of every patch. Here the neurons are drawn over all blocks.

    python -m experiments.ghiasi.fig2_exemplars --model vit_tiny_patch16_224 --data imagenet-samples/images.zip \
        --pictures pictures/

`--pictures` is a folder that `vitjax visualize` made; without it the pictures are painted first. On the paper's model,
with some of its neurons (the appendix names them by layer and number):

    python -m experiments.ghiasi.fig2_exemplars --model timm/vit_base_patch16_384.orig_in21k_ft_in1k \
        --data imagenet/val --recipe ghiasi --units blocks.5.mlp.hidden:5,10,24 blocks.8.mlp.hidden:0,3,5,19,22,28
"""

from dataclasses import replace
from pathlib import Path

from experiments import script
from vitjax.analysis.report.painted import painted
from vitjax.analysis.units.maps import VIEWS, run


def main() -> None:
    parser = script.parser(__doc__, __file__)
    script.add_data(parser)
    parser.add_argument("--units", nargs="+", help="unit sets (default: some drawn over all blocks)")
    parser.add_argument("--count", type=int, help="draw so many of the units (default: 12 where none are named)")
    parser.add_argument("--pictures", type=Path, help="folder that `vitjax visualize` made")
    parser.add_argument("--recipe", default="default", help="how pictures are painted without --pictures")
    parser.add_argument("--k", type=int, default=1, help="photographs for each neuron")
    args = parser.parse_args()
    model, data = script.opened(args)
    count = args.count or (None if args.units else 12)
    pictures = painted(model, args.units, folder=args.pictures, count=count, recipe=args.recipe)
    pictures = {str(unit): picture for unit, picture in pictures.items()}
    findings = replace(run(model, data, units=pictures, k=args.k, views=VIEWS, pictures=pictures), name="fig2")
    script.keep(args, findings)


if __name__ == "__main__":
    main()
