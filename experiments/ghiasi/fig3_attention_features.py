"""Pictures of queries, keys and values beside those of feed-forward neurons (Ghiasi et al. 2022, figure 3).

The paper says, in pictures without numbers, that maximising queries, keys and values (768 channels each in ViT-B) gives
no interpretable features and does not tell early blocks from deep ones: high frequencies dominate, at every learning
rate from .01 to 1 and every weight of the total variation; the 3072 neurons behind them are fine. Here all kinds have
the same recipe and the share of a picture's energy beyond half the Nyquist frequency is measured.

    python -m experiments.ghiasi.fig3_attention_features --model vit_tiny_patch16_224 --data imagenet-samples/images.zip

On the paper's model, with its recipe:

    python -m experiments.ghiasi.fig3_attention_features --model timm/vit_base_patch16_384.orig_in21k_ft_in1k \
        --data imagenet/val --recipe ghiasi --blocks 0 3 6 9 11 --count 4
"""

from dataclasses import replace

from experiments import script
from vitjax.analysis.units.attention_features import run


def main() -> None:
    parser = script.parser(__doc__, __file__)
    script.add_data(parser)
    parser.add_argument("--blocks", nargs="+", type=int, help="default: the first, the middle and the last")
    parser.add_argument("--count", type=int, default=2, help="units of each kind and block")
    parser.add_argument("--recipe", default="default")
    args = parser.parse_args()
    model, data = script.opened(args)
    findings = replace(run(model, data, blocks=args.blocks, count=args.count, recipe=args.recipe), name="fig3")
    script.keep(args, findings)


if __name__ == "__main__":
    main()
