"""What a model knows of a photograph and makes of it: inversions, caricatures, accentuations, attribution masks.

    python -m experiments.photographs.known --model vit_tiny_patch16_224 --image-size 112 --photo chelsea.png

Each part is a sheet, NAME.webp, with its activations in NAME.csv; `--only inversions` makes some of them. Blocks and
the neuron are given by `--depths`, `--deep` and `--neuron`.
"""

import argparse
import io
from pathlib import Path

import numpy as np
from PIL import Image

import vitjax
from experiments import script
from vitjax.analysis.study.findings import Findings
from vitjax.data.pixels import shown
from vitjax.models.core.network import Network, provenance
from vitjax.optimize.beside.film import masked
from vitjax.optimize.photographs.accentuation import accentuated
from vitjax.optimize.photographs.likeness import likenesses
from vitjax.optimize.photographs.starts import Beginnings, photographs, whole
from vitjax.optimize.recipes import choose, fields
from vitjax.optimize.results.sheets import contact_sheet
from vitjax.optimize.visualize import resolve

STRENGTHS = (0.1, 1.0, 10.0)
NEAR = {"learning_rate": 0.02, "noise": 0, "color": "none"}  # as docs/pictures_from_pictures.md says of accentuation
POWER = 2.0  # of the cosine in caricatures
GREY = 200  # behind what a mask leaves out

Sheet = list[tuple[np.ndarray, str, float]]  # pictures, what is under each, and its activation


def like(model: Network, photo: Path, blocks: list[int], kind: str, power: float, recipe) -> Sheet:
    """Pictures that are like the photograph to the model after some blocks."""
    taps = [f"blocks.{block}.resid_post" for block in blocks]
    made = vitjax.visualize(model, likenesses(model, photographs(model, photo), taps, kind, power).goals, recipe)
    return [
        (picture, f"block {block}", float(value))
        for picture, block, value in zip(made.images, blocks, made.activation, strict=True)
    ]


def accentuations(model: Network, photo: Path, neuron: str, tap: str, recipe) -> Sheet:
    """The photograph accentuated for a neuron, at several strengths of the distance."""
    recipe, sheet = whole(choose(recipe, **NEAR)), []
    for strength in STRENGTHS:
        goals = resolve(model, neuron)
        begun = Beginnings(photographs(model, photo), tuple(goals))
        made = vitjax.visualize(model, accentuated(model, goals, begun, tap, strength, recipe), recipe, starts=photo)
        sheet.append((made.images[0], f"strength {strength:g}", float(made.activation[0])))
    return sheet


def masks(model: Network, neurons: list[str], recipe) -> Sheet:
    """Pictures of neurons, each beside itself with where its activation came from as transparency, on grey."""
    made, sheet = vitjax.visualize(model, neurons, recipe, alpha=True), []
    for unit, picture, slopes, value in zip(made.units, made.images, made.alpha, made.activation, strict=True):
        through = Image.open(io.BytesIO(masked(picture, slopes)))
        ground = Image.new("RGBA", through.size, (GREY, GREY, GREY, 255))
        seen = np.asarray(Image.alpha_composite(ground, through).convert("RGB"))
        sheet += [(picture, str(unit), float(value)), (seen, "where from", float(value))]
    return sheet


def main() -> None:
    parser = script.parser(__doc__, __file__)
    parser.add_argument("--photo", type=Path, required=True)
    parser.add_argument("--image-size", type=int)
    parser.add_argument("--recipe", default="fast")
    parser.add_argument("--deep", type=int, nargs="+", default=[0, 3, 6, 9, 11], help="blocks that are inverted")
    parser.add_argument("--depths", type=int, nargs="+", default=[2, 5, 8, 11], help="blocks of the caricatures")
    parser.add_argument("--neuron", default="blocks.9.mlp.hidden:7", help="that the photograph is accentuated for")
    parser.add_argument("--tap", default="blocks.2.resid_post", help="at which it stays near")
    parser.add_argument("--masked", nargs="+", default=["blocks.3.mlp.hidden:7", "blocks.9.mlp.hidden:7"])
    parser.add_argument("--only", nargs="+", help="parts: inversions, caricatures, accentuations, masks")
    args = parser.parse_args()
    model, recipe = vitjax.load(args.model, image_size=args.image_size), choose(args.recipe)
    parts = {
        "inversions": lambda: like(model, args.photo, args.deep, "l2", 0.0, recipe),
        "caricatures": lambda: like(model, args.photo, args.depths, "dot", POWER, recipe),
        "accentuations": lambda: accentuations(model, args.photo, args.neuron, args.tap, recipe),
        "masks": lambda: masks(model, args.masked, recipe),
    }
    own = photographs(model, args.photo).images[0]
    for name in args.only or parts:
        sheet = parts[name]()
        save(args, name, sheet if name == "masks" else [(own, args.photo.name, None), *sheet])
        rows = [{"part": name, "picture": under, "activation": value} for _, under, value in sheet]
        about = {"model": provenance(model), "photo": args.photo.name, "recipe": fields(recipe)}
        script.keep(args, Findings(name, rows, about | {"image_size": list(model.config.image_size)}))


def save(args: argparse.Namespace, name: str, sheet: Sheet) -> None:
    """Writes a row of pictures, each with its name and activation under it."""
    captions = [f"{under}  {'' if value is None else f'{value:.3g}'}" for _, under, value in sheet]
    drawn = contact_sheet([shown(picture) for picture, *_ in sheet], captions, len(sheet))
    args.out.mkdir(parents=True, exist_ok=True)
    drawn.save(args.out / f"{name}.webp", quality=85)


if __name__ == "__main__":
    main()
