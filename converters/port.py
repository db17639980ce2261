"""Proves a conversion against a model of its source library, and prints, writes and publishes it.

The same images go through both. In float64 every activation, the output and its gradient must agree to 1e-6: the two
compute the same. In float32 they must agree to 1e-5 or, where the library's own float32 is further than that from its
float64, to twice that; but for the gradient of a network of ReLUs, which jumps where rounding decides a sign: there
float64 alone is a measure. What is written is what `vitjax convert` writes, with the errors beside it in `parity.json`.
"""

import argparse
import io
import sys
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from converters.referees.parity import EXACT, GRADIENT, TOLERANCE, Reference, output_errors, relative_errors, rounding
from vitjax.errors import InputError
from vitjax.models.convnets.base import ConvNet
from vitjax.models.core.config import Preprocess
from vitjax.models.core.network import Network
from vitjax.weights.families.family import Family
from vitjax.weights.find.hub import fetch
from vitjax.weights.find.source import Source, parse
from vitjax.weights.load import load
from vitjax.weights.publish.converted import export
from vitjax.weights.publish.push import MODEL, push
from vitjax.weights.publish.upload import check_name

IMAGES = 3
SUFFIXES = (".jpg", ".jpeg", ".png")

Run = Callable[[Any, np.ndarray, Preprocess], Reference]  # of the library's model, on images
Referee = Callable[[Source, Network], tuple[Any, Run]]  # the files and our model of them, to theirs and how it runs


def main(about: str, family: Family, source: str, referee: Referee, arguments: Sequence[str] | None = None) -> int:
    """Runs a converter and returns its exit code: 1 if the two models differ, 2 if something given is wrong.

    Args:
        about: the script's docstring.
        family: whose checkpoints it takes.
        source: what it can take, for --help.
        referee: loads the library's model.
        arguments: of the command line.
    """
    parser = argparse.ArgumentParser(description=about.split("\n")[0])
    parser.add_argument("source", help=source)
    parser.add_argument("--images", type=Path, help="folder or zip of photographs (default: noise)")
    parser.add_argument("--out", type=Path, help="folder to write the ported weights to")
    parser.add_argument("--push", metavar="OWNER/NAME", help="then upload it as a model of that name to the hub")
    parser.add_argument("--private", action="store_true", help="with --push: for its owner only, if it is new")
    parser.add_argument("--seed", type=int, default=0, help="which images (default: %(default)s)")
    args = parser.parse_args(arguments)
    try:
        if args.push:
            check_name(args.push, MODEL)
        if (args.push and not args.out) or (args.private and not args.push):
            raise InputError("--push goes with --out, and --private with --push")
        model, found = load(args.source, cache=False), parse(args.source)
        if (other := model.card.converter.rpartition("-")[0]) != family.name:
            raise InputError(f"{args.source} is a checkpoint of {other}, not of {family.name}")
        theirs, run = referee(fetch(found) if found.repo else found, model)
        errors = compare(model, theirs, run, read_images(args.images, model.config.image_size, args.seed))
        if not shown(model, errors, family.referee):
            return 1
        if args.out:
            export(model, args.out, proof=errors, repo=args.push)
            print(f"written to {args.out}")
        if args.push:
            print(push(args.out, args.push, private=args.private))
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def compare(model: Network, theirs: Any, run: Run, images: np.ndarray) -> dict[str, dict[str, float]]:
    """Measures relative errors at every tap and of the gradient: {tap: {"float64", "float32", "library's float32"}}.

    Args:
        model: ours.
        theirs: the library's, in evaluation mode; it is left in float64.
        run: how it runs.
        images: [batch, height, width, 3] in [0, 1], float32.
    """
    preprocess = model.config.preprocess
    in32 = run(theirs.float(), images, preprocess)
    in64 = run(theirs.double(), images.astype(np.float64), preprocess)
    plain = output_errors(model, in32)
    columns = {
        "float64": relative_errors(model, in64),
        "float32": {tap: max(error, plain.get(tap, 0)) for tap, error in relative_errors(model, in32).items()},
        "library's float32": rounding(in32, in64),
    }
    return {tap: {name: column[tap] for name, column in columns.items()} for tap in columns["float64"]}


def shown(model: Network, errors: dict[str, dict[str, float]], library: str) -> bool:
    """Prints the table and the verdict, which it returns: whether the two are the same model."""
    names = ("float64", "float32", f"{library}'s float32")
    print(f"{'max relative error':<24}" + "".join(f"{name:>24}" for name in names))
    failed = 0
    for tap, row in errors.items():
        exact, single, own = row.values()
        jumps = tap == GRADIENT and isinstance(model, ConvNet)
        differs = not (exact <= EXACT and (jumps or single <= max(TOLERANCE, 2 * own)))
        failed += differs
        print(f"{tap:<24}" + "".join(f"{error:24.1e}" for error in row.values()) + "  differs" * differs)
    print(f"{model.card}: {failed or 'none'} of {len(errors)} differ")
    return not failed


def read_images(path: Path | None, size: tuple[int, int], seed: int) -> np.ndarray:
    """Reads a few images [batch, height, width, 3] in [0, 1]: photographs cut to `size` (height, width), or noise.

    Photographs are dithered by what rounding to bytes left open: on even areas all values under a max-pooling are the
    same, and to which of them the gradient belongs is anyone's choice.

    Raises:
        InputError: nothing there, or no images.
    """
    random = np.random.default_rng(seed)
    if path is None:
        return random.random((IMAGES, *size, 3), np.float32)
    if not path.exists():
        raise InputError(f"{path} does not exist")
    if path.is_dir():
        files = {file.as_posix(): file.read_bytes for file in path.rglob("*")}
    else:
        archive = zipfile.ZipFile(path)
        files = {name: lambda name=name: archive.read(name) for name in archive.namelist()}
    names = sorted(name for name in files if name.lower().endswith(SUFFIXES))
    if not names:
        raise InputError(f"{path} holds no {' or '.join(SUFFIXES)} images")
    chosen = random.choice(names, min(IMAGES, len(names)), replace=False)
    photographs = [Image.open(io.BytesIO(files[name]())).convert("RGB") for name in chosen]
    whole = np.stack([np.asarray(ImageOps.fit(image, size[::-1]), np.float32) for image in photographs])
    return (whole + random.random(whole.shape, np.float32)) / 256
