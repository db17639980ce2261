"""The paper's occluded pictures (Nguyen et al. 2022, first column of all_drops): random, salient, non-salient tiles.

As `OcclusionCreate.ipynb` makes them: on the original picture, whose 600x411 pixels give tiles of 42x29 and leave a
strip of 12 pixels at the right and of 5 at the bottom uncovered. With the dog and the cat of the published code:

    python -m experiments.nguyen.occlusion_samples dogcat_600x411.png --out occluded/
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from experiments.nguyen.dog_and_cat import GRID, SALIENT_CAT, SALIENT_DOG
from vitjax.analysis.perturbed.occlusion import occluded

RATIO = 0.2  # of random tiles; of the others the published pictures hide all


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--fill", default="black", help="black, mean or noise")
    parser.add_argument("--seed", type=int, default=0, help="of random tiles")
    parser.add_argument("--out", type=Path, default=Path("occluded"))
    args = parser.parse_args()
    pixels = np.asarray(Image.open(args.picture).convert("RGB"))
    every = np.arange(GRID[0] * GRID[1])
    salient = [*SALIENT_DOG, *SALIENT_CAT]
    chosen = {
        "random": np.random.default_rng(args.seed).permutation(every)[: int(len(every) * RATIO)],
        "salient": SALIENT_DOG,
        "non-salient": np.setdiff1d(every, salient),
    }
    args.out.mkdir(parents=True, exist_ok=True)
    for name, ids in chosen.items():
        picture = Image.fromarray(occluded(pixels, ids, GRID, args.fill)).resize((224, 224), Image.Resampling.BICUBIC)
        picture.save(args.out / f"{name}.png")
        print(args.out / f"{name}.png", f"{len(ids)} of {len(every)} tiles")


if __name__ == "__main__":
    main()
