"""The part of `vitjax atlas` that is about activations: what it may be asked, and how their cells become its units."""

import argparse
from collections.abc import Sequence
from dataclasses import replace

from vitjax.cli.arguments import count, number, path, seed
from vitjax.errors import InputError

UNITS, ACTIVATIONS = KINDS = ("units", "activations")
# Of an atlas of activations alone: {argument: what it is where it was not given}.
_OWN = {"tap": [], "per_image": 1, "layout": "auto", "grid": 0, "threshold": 5, "draw": 0, "words": None}
_OTHERS = ("units", "sample")  # of an atlas of units alone


def add(command: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    group = command.add_argument_group(
        "atlas of activations (--of activations)",
        "A picture for each neighbourhood of what a layer's patches can be, as photographs show it (Carter et al."
        " 2019), in place of one for each unit: patches are drawn from the photographs, laid out in the plane, and"
        " gathered in cells.",
    )
    group.add_argument("--tap", nargs="+", default=[], metavar="TAP", help="whose activations, e.g. blocks.8.resid_post"
                       " or 'blocks.*.resid_post': each is a layer of the atlas")  # fmt: skip
    group.add_argument(
        "--per-image", type=count, default=1, metavar="N", help="patches drawn of each photograph (default: 1)"
    )
    group.add_argument(
        "--layout",
        default="auto",
        choices=("auto", "umap", "tsne", "pca"),
        help="how they are laid out (default: auto, umap where vitjax[umap] is installed, else tsne); it is kept",
    )
    group.add_argument(
        "--grid", type=count, default=0, metavar="N", help="cells of a side (default: 10 to 20, as suits the samples)"
    )
    group.add_argument(
        "--threshold",
        type=number,
        default=5,
        metavar="N",
        help="leave out cells with so many samples or fewer (default: 5)",
    )
    group.add_argument("--draw", type=seed, default=0, metavar="SEED", help="of the draw and the layout (default: 0)")
    group.add_argument(
        "--words",
        type=path,
        metavar="FILE",
        help="of a CLIP: name cells by words, one a line, in place of classes (needs vitjax[text])",
    )


def check(args: argparse.Namespace) -> None:
    """Checks how the arguments go together, before JAX is imported.

    Raises:
        InputError: arguments of the other kind of atlas, no tap, or no photographs.
    """
    given = lambda name: f"--{name.replace('_', '-')}"
    if args.of == UNITS:
        if other := [name for name, default in _OWN.items() if getattr(args, name) != default]:
            raise InputError(f"{given(other[0])} says something of activations: add --of {ACTIVATIONS}")
        return
    if other := [name for name in _OTHERS if getattr(args, name)]:
        raise InputError(f"{given(other[0])} does not go with --of {ACTIVATIONS}, whose units are cells of activations")
    if not args.tap:
        raise InputError("an atlas of activations needs to know whose: --tap blocks.8.resid_post, for example")
    if args.data is None:
        raise InputError("an atlas of activations is of what photographs show: name them with --data")
    if args.grid == 1:
        raise InputError("--grid 1 has a single cell: 2 at least")


def asked(args: argparse.Namespace, model):
    """What of activations is asked for; raises an InputError for taps that the model lacks."""
    from vitjax.atlas.job.survey import Asked
    from vitjax.units.units import matching

    taps = [tap for pattern in args.tap for tap in matching(pattern, model.taps())]
    found = Asked(taps, args.per_image, args.draw, args.layout, args.grid, args.threshold)
    return found.checked(model)


def found(args: argparse.Namespace, model, data, shard: tuple[int, int]):
    """Finds the cells: gives the model with them, the cells as units, and the address of the store.

    None where that was stopped or other hosts' samples are missing, which is said.
    """
    from vitjax.atlas.job.survey import find

    readout = _readout(args, model)
    got = find(args.out, model, replace(data, shard=shard), asked(args, model), readout, beside=args.beside)
    if got is None:
        return None
    survey, store = got
    return model.with_dictionary(*survey.cells), survey.units, store.address


def planned(args: argparse.Namespace, model, images) -> tuple[object, Sequence, list[str]]:
    """What an atlas is planned of: the model with cells, the cells as units, and lines on what comes before.

    They are those of a map that is in the store; else as many as there can be.
    """
    import math

    import numpy as np

    from vitjax.analysis.activations import plane
    from vitjax.atlas.records.activation_map import read
    from vitjax.atlas.store.store import Store
    from vitjax.models.dictionaries.cells import CELLS, Angles, Cells
    from vitjax.units.units import Unit

    what, known = asked(args, model), read(Store(args.out))
    if known is not None and list(known.layers) == list(what.taps):
        return model.with_dictionary(*known.cells), known.units, [f"cells: those of the map in {args.out}"]
    samples = len(images) * what.per_image
    side = what.grid or plane.side(samples)
    most = min(side * side, samples // (what.threshold + 1))
    if not most:
        raise InputError(f"{samples} activations fill no cell with more than {what.threshold}: take more (--per-image)")
    sites = model.taps()
    cells = [Cells(Angles(tap), np.ones((math.prod(sites[tap].units), most), np.float32)) for tap in what.taps]
    units = [Unit(f"{tap}.{CELLS}", (i,)) for tap in what.taps for i in range(most)]
    lines = [
        f"cells: {most} a tap at most, {side} x {side} for {samples} activations of {len(images)} images; half of them"
        " is usual",
        *_before(model, what, len(images)),
    ]
    return model.with_dictionary(*cells), units, lines


def _before(model, what, images: int) -> list[str]:
    """Says what finding the cells takes: a pass for the samples, and one for what each adds to the classes."""
    import jax
    import jax.numpy as jnp

    from vitjax.models.flops import operations

    image = jax.ShapeDtypeStruct((1, *model.config.image_size, model.config.channels), jnp.float32)
    run = lambda reads: operations(lambda model, x: model.from_embedding(model.embed(x), reads), model, image)
    sampling, naming = run(list(what.taps)), run(None) * len(what.taps) * (1 + what.per_image)
    return [
        f"before them: {images * sampling / 1e15:.3g} PFLOP to sample activations,"
        f" {images * naming / 1e15:.3g} PFLOP at most to see what they add to classes"
    ]


def _readout(args: argparse.Namespace, model):
    from vitjax.analysis.activations.attributed import Readout

    if args.words is None:
        return Readout.of_classes(model)
    from vitjax.analysis.photographs.words import embedded

    return Readout.of_words(*embedded(args.words, model))
