"""Accuracy and embeddings when random, salient and non-salient patches are hidden (Nguyen et al. 2022, A.3).

The paper says that ViTs are robust to occlusion and shows views of dropped patches that come back in deep layers; its
published code occludes but keeps no curve. Here the salient patches are those that show objects where masks or boxes
are given, else the half that the last block's class token attends to most.

    python -m experiments.nguyen.occlusion_curves --model vit_tiny_patch16_224 --data imagenet-samples/images.zip

On the paper's model and a data set of its size:

    python -m experiments.nguyen.occlusion_curves --model timm/vit_base_patch16_224.orig_in21k_ft_in1k \
        --data imagenet/val --boxes Annotation/ --batch 256

The authors set ViTs apart from convolutional networks and measure none. On those of Ghiasi et al. 2022 (torchvision's
files, IMAGENET1K_V1), where no class token says what is salient, so that boxes, masks or --native are needed:

    python -m experiments.nguyen.occlusion_curves --model resnet50-0676ba61.pth --fills black \
        --data imagenet/val --boxes Annotation/ --batch 256 --name occlusion-resnet50
"""

from dataclasses import replace
from pathlib import Path

from experiments import script
from vitjax.analysis.perturbed.occlusion_curves import RATIOS, run


def main() -> None:
    parser = script.parser(__doc__, __file__)
    script.add_data(parser, batch=50, classes=True)
    parser.add_argument("--masks", type=Path, help="of the objects: VOC's root, COCO's JSON, PNG class maps")
    parser.add_argument("--boxes", type=Path, help="of the objects, instead of masks")
    parser.add_argument("--fills", nargs="+", default=["black", "remove"], help="black, mean, noise, remove")
    parser.add_argument("--ratios", nargs="+", type=float, default=RATIOS)
    parser.add_argument("--native", action="store_true", help="hide before the image is resized")
    parser.add_argument("--control", action="store_true", help="random weights too")
    parser.add_argument("--name", default="occlusion", help="of the results' files")
    args = parser.parse_args()
    model, data = script.opened(args)
    options = {name: getattr(args, name) for name in ("masks", "boxes", "fills", "ratios", "native", "control")}
    findings = run(model, data, **options)
    script.keep(args, replace(findings, name=args.name, tables={}), rows=True)
    script.keep_rows(args, f"{args.name}-layers", findings.tables["occlusion-layers"].to_pylist())


if __name__ == "__main__":
    main()
