"""What a model sees without positions, and with its patches shuffled (Ghiasi et al. 2022, the published code).

Not in the paper's text; comments in `experiments/it7/no_pos.py` give, for ImageNet's validation set, about (top-1, %):

                                            ViT-B/16    ViT-B/32
    the model                                  84          81
    position embeddings set to zero            22          58
    position embeddings from N(0, 0.02)        22          58
    patches of the image shuffled              33          54

There the class token's position goes too; here a model keeps the sum of class token and position, and it stays.

    python -m experiments.ghiasi.positions --model vit_tiny_patch16_224 --data imagenet-samples/images.zip
    python -m experiments.ghiasi.positions --data tiny-imagenet-200/val.zip

On the code's ViT-B/16 and data:

    python -m experiments.ghiasi.positions --data imagenet/val --batch 256 \
        --model timm/vit_base_patch16_384.orig_in21k_ft_in1k
"""

from dataclasses import replace
from pathlib import Path

from experiments import script
from vitjax.analysis.ablations.positions import run


def main() -> None:
    parser = script.parser(__doc__, __file__)
    script.add_data(parser, batch=50, classes=True)
    parser.add_argument("--seed", type=int, default=0, help="of random positions and shuffles")
    args = parser.parse_args()
    model, data = script.opened(args)
    findings = replace(run(model, data, seed=args.seed), name=f"positions-{Path(args.model).name}")
    script.keep(args, findings, rows=True)


if __name__ == "__main__":
    main()
