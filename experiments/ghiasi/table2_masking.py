"""How much is recognised from the object alone and from the background alone (Ghiasi et al. 2022, table 2).

The paper blackens what lies outside, or inside, the bounding boxes of the 482,632 images of ImageNet's training set
that have some, and divides the top-5 accuracy that is left by that on whole images:

    model        foreground  background        model        foreground  background
    ViT-B/32        93.91       28.10          ResNet-50       89.69       18.69
    ViT-L/16        96.18       33.69          ResNet-152      90.74       19.68
    ViT-L/32        93.89       31.07          MobileNetV2     86.84       15.94
    ViT-B/16        95.64       31.59          DenseNet-121    89.58       17.53

so ViTs get more from either side than convolutional networks. Here, on the embedded model and Tiny ImageNet's
validation set, whose list of boxes stands among its images:

    python -m experiments.ghiasi.table2_masking --data tiny-imagenet-200/val.zip

On the paper's models and data, with ImageNet's XML files of boxes as a folder or zip (images are prepared as each
checkpoint says, the paper resizes to 384 pixels):

    python -m experiments.ghiasi.table2_masking --data imagenet/train --boxes Annotation/ --batch 256 --model \
        timm/vit_base_patch16_384.orig_in21k_ft_in1k timm/vit_large_patch32_384.orig_in21k_ft_in1k \
        resnet50-0676ba61.pth resnet152-394f9c45.pth mobilenet_v2-b0353104.pth densenet121-a639ec97.pth

the last four being torchvision's files (IMAGENET1K_V1, from download.pytorch.org/models).
"""

from dataclasses import replace
from pathlib import Path

from experiments import script
from vitjax.analysis.ablations.masking import compare, run


def main() -> None:
    parser = script.parser(__doc__, __file__, ["demo"], about="one or several, drawn side by side", nargs="+")
    script.add_data(parser, batch=50, classes=True)
    parser.add_argument("--boxes", type=Path, help="list of boxes (default: Tiny ImageNet's lists among the images)")
    parser.add_argument("--all-objects", action="store_true", help="objects of other classes are foreground, too")
    args = parser.parse_args()
    found = {}
    for label, source in script.labelled(args.model).items():
        model, data = script.opened(args, source)
        findings = run(model, data, boxes=args.boxes, all_objects=args.all_objects)
        found[label] = replace(findings, name=f"table2-{label}")
        print(*found[label].save(args.out), sep="\n")
        print(f"{label}: {findings.summary}\n{findings.csv()}")
    if len(found) > 1:
        compare(found).savefig(args.out / "table2.png", dpi=150)


if __name__ == "__main__":
    main()
