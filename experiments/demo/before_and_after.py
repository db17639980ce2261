"""Pictures of neurons of several models side by side: what a new training of the embedded model does for its pictures.

    python -m experiments.demo.before_and_after --model first=FOLDER now=demo [--image-size 64 96]

A model has a column for each image size, a row a block: neurons at random, of blocks of one width the same. Printed is
how long the pictures of each column took, with what was compiled for them.
"""

import time

import numpy as np
from PIL import Image

import vitjax
from experiments import script
from vitjax.data.pixels import pillow
from vitjax.models.core.network import Network
from vitjax.optimize.results.sheets import contact_sheet
from vitjax.units.units import caption, expand, neurons, sample

SIDE = 128  # pixels of a picture on the sheet


def column(label: str, model: Network, recipe: str, count: int, seed: int) -> Image.Image:
    """A sheet of one model's pictures, a row a block."""
    units = [unit for tap in neurons(model) for unit in sample(expand(f"{tap}:*", model.taps()), count, seed)]
    clock = time.perf_counter()
    made = vitjax.visualize(model, units, recipe, seed=seed)
    spent = time.perf_counter() - clock
    print(f"{label}, {model.config.image_size[0]} px: {len(units)} pictures in {spent:.0f} s", flush=True)
    shown = [np.asarray(pillow(image).resize((SIDE, SIDE), Image.Resampling.BICUBIC)) for image in made.images]
    return contact_sheet(shown, [f"{label}, {caption(unit)}  " for unit in units], count, least=SIDE)


def main() -> None:
    parser = script.parser(__doc__, __file__, ["demo"], about="one or several, drawn side by side", nargs="+")
    parser.add_argument("--image-size", type=int, nargs="+", default=[64])
    parser.add_argument("--recipe", default="default")
    parser.add_argument("--count", type=int, default=4, help="neurons of a block")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    columns = [
        column(label, vitjax.load(source, image_size=size), args.recipe, args.count, args.seed)
        for label, source in script.labelled(args.model).items()
        for size in args.image_size
    ]
    sheet = Image.new("RGB", (sum(one.width for one in columns), columns[0].height))
    for i, one in enumerate(columns):
        sheet.paste(one, (sum(other.width for other in columns[:i]), 0))
    sheet.save(args.out / "before-and-after.webp", quality=70)


if __name__ == "__main__":
    main()
