"""The classifier on every patch token by itself (Ghiasi et al. 2022, figure 5 and table 1).

ViT-B/16 at 384 pixels on ImageNet's validation set, top-1 / top-5 in %; the single patch and the pooled heads are from
the logs of the published code:

    class token (the model)          84.20 / 97.17      one patch, token 120 (row 4, column 23)   72.62 / 87.50
    patch average                    75.75 / 90.99      mean of the patches after the norm        83.40 / 96.97
    patch maximum, the best place    80.16 / 95.65      the same with the class token             83.40 / 96.97

So the last block tells every patch nearly all that the class token knows. Here, one line per head and then one for
each patch, and the map of figure 5:

    python -m experiments.ghiasi.fig5_patch_heads --model vit_tiny_patch16_224 --data imagenet-samples/images.zip
    python -m experiments.ghiasi.fig5_patch_heads --data tiny-imagenet-200/val.zip

On the paper's model and data:

    python -m experiments.ghiasi.fig5_patch_heads --data imagenet/val --batch 256 \
        --model timm/vit_base_patch16_384.orig_in21k_ft_in1k
"""

from dataclasses import replace
from pathlib import Path

from experiments import script
from vitjax.analysis.ablations.patch_heads import run


def main() -> None:
    parser = script.parser(__doc__, __file__)
    script.add_data(parser, batch=50, classes=True)
    args = parser.parse_args()
    model, data = script.opened(args)
    findings = replace(run(model, data), name=f"fig5-{Path(args.model).name}")
    script.keep(args, findings)


if __name__ == "__main__":
    main()
