"""How much of a neuron's activation stays when its best photograph is turned (Ghiasi et al. 2022, published code only).

For every neuron of ViT-B/16 at 384 pixels, its best image of ImageNet's validation set is turned by 0, 20, … 340
degrees (`experiments/it13`; each angle with up to one degree more at random, which is left out here). The mean
activation over all angles, as a share of that of the upright image, rises from 41 % in the first block to 62 % in block
7, and is 57 % in the last. The paper itself does not show it.

    python experiments/ghiasi/rotation.py --model vit_tiny_patch16_224 --data imagenet-samples/images.zip

On the paper's model:

    python experiments/ghiasi/rotation.py --model timm/vit_base_patch16_384.orig_in21k_ft_in1k --data imagenet/val \
        --batch 256
"""

import argparse
from pathlib import Path

import numpy as np

import vitjax
from vitjax.analysis.study.style import COLORS
from vitjax.analysis.units.invariance import legend, run_rotation
from vitjax.data.dataset import open_dataset

# Mean ratio of the 3072 neurons of each block of ViT-B/16 at 384 pixels, in per cent (published code, `it13`).
GHIASI = (40.9, 37.4, 43.2, 48.2, 51.4, 53.1, 57.8, 61.9, 61.2, 57.9, 57.9, 57.1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="demo")
    parser.add_argument("--data", required=True, help="photographs: folder, zip, .parquet or hf://datasets/OWNER/NAME")
    parser.add_argument("--limit", type=int, help="take so many of the photographs, evenly spaced")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    args = parser.parse_args()
    model = vitjax.load(args.model)
    findings = run_rotation(model, open_dataset(args.data, model.config, limit=args.limit, batch=args.batch))
    depth = np.linspace(0, model.config.depth - 1, len(GHIASI))  # blocks at the same share of the depth
    findings.figures[""].axes[0].plot(depth, GHIASI, "--", color=COLORS[1], label="ViT-B/16, 384 px (Ghiasi et al.)")
    legend(findings.figures[""])
    print(*findings.save(args.out), findings.summary, findings.csv(), sep="\n")


if __name__ == "__main__":
    main()
