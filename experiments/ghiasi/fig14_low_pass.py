"""Top-1 accuracy without high, and without low, spatial frequencies (Ghiasi et al. 2022, figure 14).

The paper low-passes ImageNet's test images, says that ResNets lose far more than ViTs ("seemingly resilient"), and
gives a curve without numbers, filter or radii. Here the filter is ideal, a disk in the plane of frequencies, the radii
are fractions of the Nyquist frequency, and accuracy is given as a share of that on unfiltered images.

    python experiments/ghiasi/fig14_low_pass.py --model vit_tiny_patch16_224 --data imagenet-samples/images.zip
    python experiments/ghiasi/fig14_low_pass.py --data tiny-imagenet-200/val.zip --limit 2000

On the paper's models and data:

    python experiments/ghiasi/fig14_low_pass.py --data imagenet/val --batch 256 --model \
        timm/vit_base_patch16_384.orig_in21k_ft_in1k timm/vit_large_patch32_384.orig_in21k_ft_in1k \
        resnet50-0676ba61.pth resnet152-394f9c45.pth

the last two being torchvision's files (IMAGENET1K_V1, from download.pytorch.org/models).
"""

import argparse
from dataclasses import replace
from pathlib import Path

import vitjax
from vitjax.analysis.ablations.frequency import RADII, SHAPES, compare, run
from vitjax.data.dataset import open_dataset


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", nargs="+", default=["demo"], help="one or several, drawn together")
    parser.add_argument("--data", required=True, help="folder, zip, .parquet or hf://datasets/OWNER/NAME")
    parser.add_argument("--radii", nargs="+", type=float, default=RADII, help="fractions of the Nyquist frequency")
    parser.add_argument("--shape", choices=SHAPES, default="disk")
    parser.add_argument("--labels", type=Path, help="classes: .csv, .tsv, .txt or .json of image and class")
    parser.add_argument("--limit", type=int, help="take so many of the images, evenly spaced")
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    args = parser.parse_args()
    found = {}
    for source in args.model:
        model, label = vitjax.load(source), Path(source).name
        data = open_dataset(args.data, model.config, limit=args.limit, batch=args.batch, listed=args.labels)
        findings = run(model, data, radii=args.radii, shape=args.shape)
        found[label] = replace(findings, name=f"fig14-{label}")
        print(*found[label].save(args.out), sep="\n")
        print(f"{label}: {findings.summary}\n{findings.csv()}")
    if len(found) > 1:
        compare(found).savefig(args.out / "fig14.png", dpi=150)


if __name__ == "__main__":
    main()
