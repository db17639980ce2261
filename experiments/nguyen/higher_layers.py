"""One filter in deeper layers, at tokens on objects and off them (Nguyen et al. 2022, `layer_high_object_non_object`).

Rows: the class token, a patch of the background (0) and two of the dog (78 and 62, row by row). Columns: before the
first block, and after blocks 4, 8 and 11, counted from 0. The class token has no view before the first block, and the
image stands there, as in the paper. Patches of the object are sharpened, as the paper's panels seem to be.

The paper's reading: early views are local, late ones see everything. The table has the part of it that is a number: the
median weight of another patch in a view, relative to the token's own patch; and what it would be with even attention,
where nothing but the number of blocks is at work.

    python -m experiments.nguyen.higher_layers --model vit_tiny_patch16_224 --image dogcat_600x411.png
    python -m experiments.nguyen.higher_layers --model ViT-B_16-224.npz --image dogcat_600x411.png --filter 3
"""

import numpy as np

import vitjax
from experiments import script
from experiments.nguyen.picture import squashed
from vitjax.analysis.study.blocks import after_blocks
from vitjax.analysis.study.findings import Findings
from vitjax.analysis.study.gallery import gallery
from vitjax.analysis.views.attention_maps import even_attention
from vitjax.analysis.views.filters import evenness, filters
from vitjax.analysis.views.rollout import relevance
from vitjax.analysis.views.view_figures import view_pictures
from vitjax.analysis.views.views import SHARPENED
from vitjax.units.units import Unit


def main() -> None:
    parser = script.parser(__doc__, __file__)
    parser.add_argument("--image", required=True)
    parser.add_argument("--filter", type=int, help="default: the most even one")
    parser.add_argument("--background", nargs="+", type=int, default=[0], help="patches, row by row")
    parser.add_argument("--object", nargs="+", type=int, default=[78, 62], help="patches, row by row")
    parser.add_argument("--blocks", nargs="+", type=int, default=[4, 8, 11])
    args = parser.parse_args()
    model = vitjax.load(args.model)
    number = int(np.argmax(evenness(filters(model)))) if args.filter is None else args.filter
    image = squashed(args.image, model.config)
    units = [Unit(tap, (number,)) for tap in ("embed", *(after_blocks(model)[i] for i in args.blocks))]

    plain = ["class", *(f"patch {patch}" for patch in args.background)]
    sharp = [f"patch {patch}" for patch in args.object]
    pictures = [
        picture
        for tokens, gamma in ((plain, 1.0), (sharp, SHARPENED))
        for picture in np.moveaxis(view_pictures(model, image[None], units, tokens, gamma=gamma)[0][0], 1, 0)
    ]
    pictures[0][0] = image  # the class token's
    figure = gallery(
        [[[cell] for cell in row] for row in pictures],
        labels=[*plain, *sharp],
        titles=[f"filter {number}\nlayer 0", *(f"\nblock {block}" for block in args.blocks)],
        side=1.3,
    )
    rolled = np.asarray(relevance(model, image[None].astype(np.float32) / 255))[:, 0]
    rolled = rolled[:, model.config.prefix :, model.config.prefix :]
    even = even_attention(model)["reach"]
    rows = [
        {"patch": patch, "block": block, "others": others(rolled[block, patch], patch), "even": float(even[block])}
        for patch in args.background + args.object
        for block in range(len(rolled))
    ]
    settings = {"model": str(args.model), "image": args.image, "filter": number}
    script.keep(args, Findings("higher-layers", rows, settings, {"": figure}))


def others(row: np.ndarray, own: int) -> float:
    """The median weight of the other patches, relative to the own."""
    return float(np.median(np.delete(row, own)) / row[own])


if __name__ == "__main__":
    main()
