"""How near a photograph accentuation stays where its strength is without bounds, by recipe and tap.

    python -m experiments.photographs.near [--model demo] [--photo chelsea.png]

The photograph is scikit-image's `chelsea` unless one is given; distances are from it as the recipe can show it, of 255.
"""

import numpy as np

import vitjax
from experiments import script
from experiments.photographs.known import NEAR
from vitjax.analysis.study.findings import Findings
from vitjax.models.core.network import provenance
from vitjax.optimize.parametrize import parametrization
from vitjax.optimize.photographs.accentuation import accentuated
from vitjax.optimize.photographs.starts import Beginnings, photographs, whole
from vitjax.optimize.recipes import choose
from vitjax.optimize.visualize import resolve

FIRST = "blocks.0.resid_pre"
TRIED = (  # tap and what is changed of the recipe; None: the tap of --tap
    (None, {}),
    (None, NEAR),
    (None, NEAR | {"total_variation": 0}),
    (None, NEAR | {"total_variation": 0, "optimizer": "nadam", "decay": 1.0}),
    (FIRST, NEAR | {"total_variation": 0}),
)


def chelsea() -> np.ndarray:
    """scikit-image's photograph of a cat."""
    import skimage.data

    return skimage.data.chelsea()


def main() -> None:
    parser = script.parser(__doc__, __file__)
    parser.add_argument("--photo", default=None)
    parser.add_argument("--recipe", default="fast")
    parser.add_argument("--neuron", default="blocks.5.mlp.hidden:9")
    parser.add_argument("--tap", default="blocks.2.resid_post")
    parser.add_argument("--strength", type=float, default=1e6)
    args = parser.parse_args()
    model, photo, rows = vitjax.load(args.model), args.photo or chelsea(), []
    goals, seen = resolve(model, args.neuron), photographs(model, photo)
    for tap, changes in TRIED:
        recipe, tap = whole(choose(args.recipe, **changes)), tap or args.tap
        near = accentuated(model, goals, Beginnings(seen, tuple(goals)), tap, args.strength, recipe)
        made = vitjax.visualize(model, near, recipe, starts=photo).images[0]
        shown = parametrization(model.config.image_size, recipe, model.config.channels)
        seed = 255 * np.asarray(shown.image(shown.params(seen.images[0] / np.float32(255))))
        off = np.abs(made - seed)
        said = ", ".join(f"{name}={value}" for name, value in changes.items())
        rows.append({"tap": tap, "changes": said, "mean": float(off.mean()), "most": float(off.max())})
        rows[-1] |= {"within_2": float((off.max(axis=-1) <= 2).mean())}
        print(rows[-1], flush=True)
    about = {"model": provenance(model), "recipe": args.recipe, "neuron": args.neuron, "strength": args.strength}
    script.keep(args, Findings("near", rows, about))


if __name__ == "__main__":
    main()
