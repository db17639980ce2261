"""Accuracy and embeddings when the tiles of an image are shuffled (Nguyen et al. 2022, A.4).

The paper shuffles 2x2, 4x4, 8x8 and 14x14 tiles and looks at t-SNE maps and clusters, not at accuracy; it has no
control. Here a model with random weights stands beside: what it keeps, no training has brought about.

    python -m experiments.nguyen.shuffle --model vit_tiny_patch16_224 --data imagenet-samples/images.zip

On the paper's model:

    python -m experiments.nguyen.shuffle --model timm/vit_base_patch16_224.orig_in21k_ft_in1k \
        --data imagenet/val --batch 256

A convolutional network, which the authors do not ask, does as well: torchvision's `--model resnet50-0676ba61.pth`.
"""

from dataclasses import replace

from experiments import script
from vitjax.analysis.perturbed.shuffle import run


def main() -> None:
    parser = script.parser(__doc__, __file__)
    script.add_data(parser, batch=50, classes=True)
    parser.add_argument("--grids", nargs="+", type=int, help="tiles along each side (default: 2, 4, 8 and the patches)")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    model, data = script.opened(args)
    findings = run(model, data, grids=args.grids, control=True, seed=args.seed)
    script.keep(args, replace(findings, tables={}), rows=True)
    script.keep_rows(args, "shuffle-layers", findings.tables["shuffle-layers"].to_pylist())


if __name__ == "__main__":
    main()
