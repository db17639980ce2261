"""Shows one photograph under all corruptions of `vitjax analyze corruptions`, as a model of some size would get it.

    python -m experiments.dtn.corruption_sheet chelsea.png docs/corruptions.webp [--size 224]

It says how long that took. chelsea.png is a photograph of a cat by S. van der Walt (CC0), in scikit-image's package as
`skimage/data/chelsea.png`.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from vitjax.analysis.perturbed.corrupt.kinds import KINDS, SEVERITIES
from vitjax.analysis.perturbed.corruption_figures import draw_sheet


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", type=Path)
    parser.add_argument("out", type=Path, help="file for the sheet, .webp")
    parser.add_argument("--size", type=int, default=224, help="pixels of the side that is cut out of the middle")
    args = parser.parse_args()
    image = ImageOps.fit(Image.open(args.picture).convert("RGB"), (args.size, args.size), Image.Resampling.BICUBIC)
    begun = time.process_time()
    figure = draw_sheet(np.asarray(image), args.picture.name, list(KINDS), SEVERITIES, 0)
    print(f"{time.process_time() - begun:.1f} s of CPU")
    figure.savefig(args.out, dpi=110, pil_kwargs={"quality": 70})
    return 0


if __name__ == "__main__":
    sys.exit(main())
