"""Top-1 accuracy without high, and without low, spatial frequencies (Ghiasi et al. 2022, figure 14).

The paper low-passes ImageNet's test images, says that ResNets lose far more than ViTs ("seemingly resilient"), and
gives a curve without numbers, filter or radii. Here the filter is ideal, a disk in the plane of frequencies, the radii
are fractions of the Nyquist frequency, and accuracy is given as a share of that on unfiltered images.

    python -m experiments.ghiasi.fig14_low_pass --model vit_tiny_patch16_224 --data imagenet-samples/images.zip
    python -m experiments.ghiasi.fig14_low_pass --data tiny-imagenet-200/val.zip --limit 2000

On the paper's models and data:

    python -m experiments.ghiasi.fig14_low_pass --data imagenet/val --batch 256 --model \
        timm/vit_base_patch16_384.orig_in21k_ft_in1k timm/vit_large_patch32_384.orig_in21k_ft_in1k \
        resnet50-0676ba61.pth resnet152-394f9c45.pth

the last two being torchvision's files (IMAGENET1K_V1, from download.pytorch.org/models).
"""

from dataclasses import replace

from experiments import script
from vitjax.analysis.ablations.frequency import RADII, SHAPES, compare, run


def main() -> None:
    parser = script.parser(__doc__, __file__, ["demo"], about="one or several, drawn together", nargs="+")
    script.add_data(parser, batch=50, classes=True)
    parser.add_argument("--radii", nargs="+", type=float, default=RADII, help="fractions of the Nyquist frequency")
    parser.add_argument("--shape", choices=SHAPES, default="disk")
    args = parser.parse_args()
    found = {}
    for label, source in script.labelled(args.model).items():
        model, data = script.opened(args, source)
        findings = run(model, data, radii=args.radii, shape=args.shape)
        found[label] = replace(findings, name=f"fig14-{label}")
        print(*found[label].save(args.out), sep="\n")
        print(f"{label}: {findings.summary}\n{findings.csv()}")
    if len(found) > 1:
        compare(found).savefig(args.out / "fig14.png", dpi=150)


if __name__ == "__main__":
    main()
