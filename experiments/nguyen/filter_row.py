"""Filters of the patch embedding and their views of one patch (Nguyen et al. 2022, figure `layer0_embedding_row`).

The paper shows the first filters of ViT-B/16 and the last, and what each makes of the top left patch. A tile goes from
black, 0 and below, to its highest value.

    python -m experiments.nguyen.filter_row --model vit_tiny_patch16_224 --image dogcat_600x411.png

On the paper's model, whose filters it counts from 1:

    python -m experiments.nguyen.filter_row --model ViT-B_16-224.npz --image dogcat_600x411.png --filters 0 1 2 767
"""

import numpy as np

import vitjax
from experiments import script
from experiments.nguyen.picture import squashed
from vitjax.analysis.study.findings import Findings
from vitjax.analysis.study.gallery import gallery
from vitjax.analysis.views.filters import evenness, filters, local_views
from vitjax.analysis.views.views import shown


def main() -> None:
    parser = script.parser(__doc__, __file__)
    parser.add_argument("--image", required=True)
    parser.add_argument("--filters", nargs="+", type=int, help="default: the first eight")
    parser.add_argument("--patch", type=int, default=0, help="row by row")
    args = parser.parse_args()
    model = vitjax.load(args.model)
    chosen = args.filters or list(range(8))
    image = squashed(args.image, model.config)[None].astype(np.float32) / 255
    seen = local_views(model, image, chosen)[0, args.patch]
    tiles = [np.asarray(shown(values)) for values in (filters(model)[np.array(chosen)], seen)]
    even = np.asarray(evenness(filters(model)))
    rows = [
        {"filter": number, "evenness": float(even[number]), "highest": float(view.max()), "sum": float(view.sum())}
        for number, view in zip(chosen, seen, strict=True)
    ]
    figure = gallery(
        [[[tile] for tile in some] for some in tiles],
        labels=["filter", "view"],
        titles=[str(number) for number in chosen],
    )
    settings = {"model": str(args.model), "image": args.image, "patch": args.patch}
    script.keep(args, Findings("filter-row", rows, settings, {"": figure}))


if __name__ == "__main__":
    main()
