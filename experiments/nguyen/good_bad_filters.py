"""Whole images through single filters (Nguyen et al. 2022, figure `layer0_good_bad_filters`).

The paper shows the global view of filter 714 of ViT-B/16 on elephants and on a fish (called good: the object stands
out), and those of 714 (bad) and 732 (good) on dogs and cats. Who judges is the eye. Here the filters come in the order
of their evenness, the share of a filter's energy that is its mean colour, which says how much of the image a filter
leaves visible whatever the image: the most even ones and, for contrast, the least even.

    python -m experiments.nguyen.good_bad_filters --model vit_tiny_patch16_224 --images dogcat_600x411.png
    python -m experiments.nguyen.good_bad_filters --model ViT-B_16-224.npz --images img1.jpg img18.jpeg img5.jpg \
        --filters 714 732
"""

import numpy as np

import vitjax
from experiments import script
from experiments.nguyen.picture import squashed
from vitjax.analysis.study.findings import Findings
from vitjax.analysis.study.gallery import gallery
from vitjax.analysis.views.filters import evenness, filters
from vitjax.analysis.views.view_figures import view_pictures
from vitjax.units.units import Unit


def main() -> None:
    parser = script.parser(__doc__, __file__)
    parser.add_argument("--images", nargs="+", required=True)
    parser.add_argument("--filters", nargs="+", type=int, help="default: the six most even and the two least even")
    args = parser.parse_args()
    model = vitjax.load(args.model)
    even = np.asarray(evenness(filters(model)))
    order = np.argsort(-even, kind="stable").tolist()
    chosen = args.filters or order[:6] + order[-2:]
    images = np.stack([squashed(path, model.config) for path in args.images])
    seen, _ = view_pictures(model, images, [Unit("embed", (number,)) for number in chosen])
    figure = gallery(
        [[[image], *([view[0]] for view in views)] for image, views in zip(images, seen, strict=True)],
        titles=["image", *(f"filter {number}\nevenness {even[number]:.2f}" for number in chosen)],
        side=1.3,
    )
    rows = [{"filter": number, "evenness": float(even[number])} for number in order]
    settings = {"model": str(args.model), "images": args.images, "filters": chosen}
    script.keep(args, Findings("good-bad-filters", rows, settings, {"": figure}))


if __name__ == "__main__":
    main()
