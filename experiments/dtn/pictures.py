"""Pictures of the same units under LN and DTN: neurons that began with the same weights and saw the same photographs.

    python -m experiments.dtn.pictures --runs runs/dtn --model vit --data tiny-50/val

Of the finished runs of one seed, `results/pictures-vit.webp` has neurons at random, a row of each block for each norm.
Beside a neuron's number stands how far its activations (means over an image's places) correlate with those of the same
neuron under LN over the photographs; `results/pictures-vit.csv` has the median of that over all neurons of a block,
and, for what chance gives, with those of the next neuron under LN.
"""

import argparse

import numpy as np
from jaxtyping import Array, Float
from PIL import Image

import vitjax
from experiments.dtn.finished import NORMS, add_runs, trained
from experiments.dtn.table import LAYER, write
from vitjax.analysis.study.passes import gather
from vitjax.data.dataset import open_dataset
from vitjax.data.pixels import pillow
from vitjax.models.core.network import Network
from vitjax.optimize.results.sheets import contact_sheet
from vitjax.units.units import caption, expand, neurons, sample

SIDE = 112  # pixels of a picture on the sheet


def means(model: Network, images: Float[Array, "image h w 3"]) -> dict[str, Float[Array, "image unit"]]:
    """The activations of all neurons, means over places, by tap."""
    sites = model.taps()
    return {tap: value[:, sites[tap].prefix :].mean(axis=1) for tap, value in model(images, [*neurons(model)]).items()}


def correlations(ours: Float[np.ndarray, "image unit"], theirs: Float[np.ndarray, "image unit"]) -> np.ndarray:
    """How far each unit's activations correlate with those of the unit of the same number in another model."""
    standard = lambda x: (x - x.mean(axis=0)) / np.maximum(x.std(axis=0), 1e-12)
    return (standard(ours) * standard(theirs)).mean(axis=0)


def painted(model: Network, taps: list[str], args: argparse.Namespace) -> dict[str, list[np.ndarray]]:
    """The pictures of some neurons of each tap."""
    units = {tap: sample(expand(f"{tap}:*", model.taps()), args.count, args.seed) for tap in taps}
    made = vitjax.visualize(model, [unit for some in units.values() for unit in some], args.recipe, seed=args.seed)
    images = iter(np.asarray(pillow(one).resize((SIDE, SIDE), Image.Resampling.BICUBIC)) for one in made.images)
    return {tap: [next(images) for _ in some] for tap, some in units.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_runs(parser, data=True)
    parser.add_argument("--seed", type=int, default=0, help="of the runs, and of what is drawn here")
    parser.add_argument("--count", type=int, default=6, help="neurons of a block")
    parser.add_argument("--recipe", default="fast")
    args = parser.parse_args()
    models = {run.norm: model for run, model in trained(args.runs, args.model).items() if run.seed == args.seed}
    active, made = {}, {}
    for norm, model in models.items():
        data = open_dataset(args.data, model.config, limit=args.limit, batch=50)
        _, active[norm] = gather(model, data.batches(), means)
        made[norm] = painted(model, [*neurons(model)], args)
    rows, images, captions = [], [], []
    for tap in neurons(models[LAYER]):
        chosen = [unit.index for unit in sample(expand(f"{tap}:*", models[LAYER].taps()), args.count, args.seed)]
        for norm in models:
            alike = correlations(active[norm][tap], active[LAYER][tap])
            other = correlations(active[norm][tap], np.roll(active[LAYER][tap], 1, axis=1))
            if norm != LAYER:
                rows.append({"norm": norm, "of": tap, "same": np.median(alike), "next": np.median(other)})
            images += made[norm][tap]
            for index in chosen:
                (number,) = index
                where = caption(tap).removesuffix(".mlp.hidden")
                captions.append(
                    f"{NORMS[norm]} {where}:{number}  " + (f"r {alike[number]:.2f}" if norm != LAYER else "")
                )
    write(args.out / f"pictures-{args.model}.csv", rows)
    path = args.out / f"pictures-{args.model}.webp"
    contact_sheet(images, captions, args.count, least=SIDE).save(path, quality=70)
    print(path)


if __name__ == "__main__":
    main()
