"""How long the class token can do without the patches, and the patches without it (Ghiasi et al. 2022, table 1).

ViT-B/16 at 384 pixels on ImageNet's validation set, top-1 in %. "Isolated": in the first L blocks the class token and
the patches do not see each other; table 1 has L = 11, "Isolating CLS". "Alone": after L blocks the patches are dropped
(the published code calls it TEAR; not in the paper's text). From the table and the logs in the published code, where
isolating has no complete run for L = 3, 7 and 8:

    L           0     1     2     3     4     5     6     7     8     9    10    11    12
    isolated  84.20 83.73 82.98     .  83.22 83.03 82.98     .     .  81.10 80.32 78.61  0.10
    alone      0.10  0.08  0.16  0.09  0.14  0.22  1.66  3.95  8.99 19.89 36.85 71.24 84.20

The other two lines of the table, patch average and patch maximum, are in fig5_patch_heads.py. Here:

    python -m experiments.ghiasi.table1_class_token --model vit_tiny_patch16_224 --data imagenet-samples/images.zip
    python -m experiments.ghiasi.table1_class_token --data tiny-imagenet-200/val.zip --limit 2000

On the paper's model and data:

    python -m experiments.ghiasi.table1_class_token --data imagenet/val --batch 256 \
        --model timm/vit_base_patch16_384.orig_in21k_ft_in1k
"""

from dataclasses import replace
from pathlib import Path

from experiments import script
from vitjax.analysis.ablations.class_token import run


def main() -> None:
    parser = script.parser(__doc__, __file__)
    script.add_data(parser, batch=50, classes=True)
    parser.add_argument("--layers", nargs="+", type=int, metavar="L", help="numbers of blocks (default: all)")
    args = parser.parse_args()
    model, data = script.opened(args)
    findings = replace(run(model, data, layers=args.layers), name=f"table1-{Path(args.model).name}")
    script.keep(args, findings, rows=True)


if __name__ == "__main__":
    main()
