"""Maps of an image's tokens (Nguyen et al. 2022: tsne_dog_cat, tsne_multi_objects and their shuffled forms).

t-SNE of all tokens after the first, a middle and the last block (the paper: 1, 7 and 12 of 12), patches marked by the
object that they show. Two pictures of the paper are known with their patches: the dog and the cat, and a collage that
is made from four pictures of `EliSchwartz/imagenet-sample-images`.

    python -m experiments.nguyen.tsne --model vit_tiny_patch16_224 --picture dogcat_600x411.png --no-picture
    python -m experiments.nguyen.tsne --model vit_tiny_patch16_224 --picture dogcat_600x411.png --grid 4 --no-picture
    python -m experiments.nguyen.tsne --model vit_tiny_patch16_224 --objects collage \
        --picture n02277742_ringlet.JPEG n01582220_magpie.JPEG n02403003_ox.JPEG n02749479_assault_rifle.JPEG

On the paper's model: `--model timm/vit_base_patch16_224.orig_in21k_ft_in1k`.
"""

import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from PIL import Image

import vitjax
from experiments import script
from experiments.nguyen.dog_and_cat import COLLAGE, DOG_AND_CAT, painted
from vitjax.analysis.clusters.maps_of_tokens import LAYOUTS, example
from vitjax.analysis.perturbed.alike import layers
from vitjax.analysis.perturbed.shuffle import orders, shuffle
from vitjax.data.annotations.masks import patch_labels

OBJECTS = {"dog-and-cat": DOG_AND_CAT, "collage": COLLAGE}


def collage(pictures: list[Image.Image], size: int) -> np.ndarray:
    """One picture as it is, or four as a square of two by two, squashed to `size` pixels: uint8 [size, size, 3]."""
    small = [np.asarray(picture.resize((size, size), Image.Resampling.BICUBIC)) for picture in pictures]
    if len(small) == 1:
        return small[0]
    square = np.concatenate([np.concatenate(small[:2], axis=1), np.concatenate(small[2:], axis=1)])
    return np.asarray(Image.fromarray(square).resize((size, size), Image.Resampling.BICUBIC))


def main() -> None:
    parser = script.parser(__doc__, __file__)
    parser.add_argument("--picture", nargs="+", type=Path, required=True, help="one, or four for the collage")
    parser.add_argument("--objects", choices=OBJECTS, default="dog-and-cat")
    parser.add_argument("--grid", type=int, default=1, help="tiles along each side that are shuffled")
    parser.add_argument("--layout", choices=LAYOUTS, default="tsne")
    parser.add_argument("--no-picture", action="store_true", help="draw the maps alone")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    model, objects = vitjax.load(args.model), OBJECTS[args.objects]
    size = model.config.image_size[0]
    pixels = collage([Image.open(path).convert("RGB") for path in args.picture], size)[None]
    labels = painted(objects, size)[None, ..., None]
    order = orders(jnp.asarray(pixels) / 255, args.grid, args.seed)
    pixels, labels = (np.asarray(shuffle(some, order, args.grid)) for some in (pixels, labels))
    figure, rows = example(
        model,
        pixels[0],
        patch_labels(labels[0, ..., 0], model.config.grid),
        tuple(objects),
        layers(model),
        args.layout,
        seed=args.seed,
        picture=not args.no_picture,
    )
    name = f"{args.layout}-{args.objects}" + (f"-{args.grid}" if args.grid > 1 else "")
    figure.savefig(args.out / f"{name}.png", dpi=150)
    record = {"model": Path(args.model).name, "grid": args.grid, "seed": args.seed, "rows": rows}
    (args.out / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")
    print(args.out / f"{name}.png", *rows, sep="\n")


if __name__ == "__main__":
    main()
