"""How much of a neuron's activation stays when its best photograph is turned or moved (Ghiasi et al. 2022, code only).

For every neuron of ViT-B/16 at 384 pixels, its best image of ImageNet's validation set is turned by 0, 20, … 340
degrees (`experiments/it13`; each angle with up to one degree more at random, which is left out here). The mean
activation over all angles, as a share of that of the upright image, rises from 41 % in the first block to 62 % in block
7, and is 57 % in the last. For neurons 0 to 10 of every block that image is shifted, in a circle, by 0, 4, 8 and 12
pixels along both axes (a `break` ends the loop after those neurons); the mean over the 16 places, as a share of that of
the image as it is, is 58 % to 97 %, in most blocks above 90 %. Here all neurons are asked. The paper itself does not
show it.

    python -m experiments.ghiasi.invariance rotation --model vit_tiny_patch16_224 --data imagenet-samples/images.zip
    python -m experiments.ghiasi.invariance shift --model vit_tiny_patch16_224 --data imagenet-samples/images.zip

On the paper's model:

    python -m experiments.ghiasi.invariance rotation --model timm/vit_base_patch16_384.orig_in21k_ft_in1k \
        --data imagenet/val --batch 256
"""

import numpy as np

from experiments import script
from vitjax.analysis.study.style import COLORS
from vitjax.analysis.units.invariance import legend, run_rotation, run_shift

# {change: (the analysis, the mean ratio of each block of ViT-B/16 at 384 pixels, in per cent: published code, `it13`)}.
# That of rotation is over the block's 3072 neurons, that of shift over neurons 0 to 10.
CHANGES = {
    "rotation": (run_rotation, (40.9, 37.4, 43.2, 48.2, 51.4, 53.1, 57.8, 61.9, 61.2, 57.9, 57.9, 57.1)),
    "shift": (run_shift, (96.3, 58.1, 83.3, 90.9, 86.1, 91.5, 96.5, 94.1, 95.1, 93.2, 91.8, 94.7)),
}


def main() -> None:
    parser = script.parser(__doc__, __file__)
    parser.add_argument("change", choices=CHANGES)
    script.add_data(parser)
    args = parser.parse_args()
    run, theirs = CHANGES[args.change]
    model, data = script.opened(args)
    findings = run(model, data)
    blocks = np.linspace(0, len(findings.rows) - 1, len(theirs))  # at the same share of the depth
    findings.figures[""].axes[0].plot(blocks, theirs, "--", color=COLORS[1], label="ViT-B/16, 384 px (Ghiasi et al.)")
    legend(findings.figures[""])
    script.keep(args, findings, rows=True)


if __name__ == "__main__":
    main()
