"""What of an occluded patch is left in deeper layers (Nguyen et al. 2022, figure `all_drops`).

Rows: a fifth of the patches dropped at random, all patches of the dog, all others; columns: the input, and views of one
filter at patch 62 before the first block and after blocks 3, 8 and 11. Tiles are made black before the image is resized
to the model, as in the published code, so they do not quite meet the patches; black is a strong input, -1, and the view
of a black patch is the filter, negated. The paper: "a dropped patch's view is recovered from others".

    python -m experiments.nguyen.drops --model vit_tiny_patch16_224 --image dogcat_600x411.png
    python -m experiments.nguyen.drops --model ViT-B_16-224.npz --image dogcat_600x411.png --filter 3
"""

import numpy as np
from PIL import Image

import vitjax
from experiments import script
from experiments.nguyen.picture import squashed
from vitjax.analysis.perturbed.occlusion import tile_pixels
from vitjax.analysis.study.blocks import after_blocks
from vitjax.analysis.study.findings import Findings
from vitjax.analysis.study.gallery import gallery
from vitjax.analysis.views.filters import evenness, filters
from vitjax.analysis.views.view_figures import view_pictures
from vitjax.analysis.views.views import SHARPENED
from vitjax.units.units import Unit

GRID = 14
# Patches of the dog, row by row, and those that the published figure drops at random: from the published code and
# figure; one more random tile lies in the black background.
DOG = [34, 35, 36, *range(48, 51), *range(62, 66), *range(75, 80), *range(89, 95), *range(105, 109), *range(119, 124),
       *range(133, 138), *range(147, 152), *range(161, 166), 176, 179, 193]  # fmt: skip
RANDOM = [9, 11, 35, 49, 62, 63, 78, 93, 99, 102, 108, 109, 113, 117, 121, 122, 123, 124, 129, 136, 137, 138, 147, 148,
          151, 153, 159, 164, 170, 173, 177, 179, 184, 187, 188, 189, 190, 195]  # fmt: skip
DROPS = {"random": RANDOM, "dog": DOG, "all but the dog": sorted(set(range(GRID**2)) - set(DOG))}


def dropped(image: np.ndarray, tiles: list[int]) -> np.ndarray:
    """The image with these tiles of a 14 x 14 grid black; what the grid leaves over at the right and below stays."""
    hidden = tile_pixels(np.isin(np.arange(GRID**2), tiles), (GRID, GRID), *image.shape[:2])
    return np.where(hidden[..., None], np.uint8(0), image)


def main() -> None:
    parser = script.parser(__doc__, __file__, None, about="a Vision Transformer with a grid of 14 x 14 patches")
    parser.add_argument("--image", required=True, help="the dog and the cat")
    parser.add_argument("--filter", type=int, help="default: the most even one")
    parser.add_argument("--patch", type=int, default=62)
    parser.add_argument("--blocks", nargs="+", type=int, default=[3, 8, 11])
    args = parser.parse_args()
    model = vitjax.load(args.model)
    number = int(np.argmax(evenness(filters(model)))) if args.filter is None else args.filter
    original = np.asarray(Image.open(args.image).convert("RGB"))
    inputs = np.stack([squashed(dropped(original, tiles), model.config) for tiles in DROPS.values()])
    units = [Unit(tap, (number,)) for tap in ("embed", *(after_blocks(model)[i] for i in args.blocks))]
    seen, measured = view_pictures(model, inputs, units, [f"patch {args.patch}"], gamma=SHARPENED)
    figure = gallery(
        [[[image], *([view[0]] for view in views)] for image, views in zip(inputs, seen, strict=True)],
        labels=list(DROPS),
        titles=["input", f"filter {number}\nlayer 0", *(f"\nblock {block}" for block in args.blocks)],
        side=1.3,
    )
    rows = [
        {"dropped": name, "tiles": len(tiles), "unit": str(unit), "highest": float(measured["highest"][i, u, 0])}
        for i, (name, tiles) in enumerate(DROPS.items())
        for u, unit in enumerate(units)
    ]
    settings = {"model": str(args.model), "image": args.image, "filter": number, "patch": args.patch}
    script.keep(args, Findings("drops", rows, settings, {"": figure}))


if __name__ == "__main__":
    main()
