"""Declares what several commands take, reads its values, and loads the model once all arguments are right."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from vitjax.errors import InputError

DTYPES = ("float32", "bfloat16")
AUTO = "auto"


def model_arguments(command: argparse.ArgumentParser, *, dtype: str = "float32", names: bool = True) -> None:
    """Adds the arguments that say which model, in which dtype, and what its classes are called.

    Args:
        command: that takes them.
        dtype: the default one; "auto" is offered by commands that have it as their default, as what is measured shall
            not depend on the device. None is offered if empty.
        names: whether the names of classes may be given.
    """
    group = command.add_argument_group("model")
    group.add_argument(
        "--model",
        default="demo",
        help="demo (embedded, the default), a folder of timm's or transformers' making, a file of weights"
        " (.safetensors, .npz, .pth, .bin, .ckpt; FILE#PART for one of several models in it, such as"
        " model.pth#state_dict_ema), a LoRA adapter's folder, or a hub id such as"
        " timm/vit_base_patch16_224.augreg_in21k_ft_in1k",
    )
    group.add_argument("--base", metavar="MODEL", help="of a LoRA adapter: what it was trained on, as for --model")
    group.add_argument("--revision", help="commit, tag or branch of a hub id; what was used is recorded")
    group.add_argument("--image-size", type=size, metavar="N or HxW", help="pixels, if other than the checkpoint's own")
    if dtype:
        group.add_argument(
            "--dtype",
            choices=(AUTO, *DTYPES) if dtype == AUTO else DTYPES,
            default=dtype,
            help="of weights and activations"
            + " while painting (default: auto, bfloat16 on TPUs and NVIDIA GPUs since A100, else float32)"
            * (dtype == AUTO),
        )
    if names:
        group.add_argument(
            "--class-names",
            type=path,
            metavar="FILE",
            help="what the head's classes are called, in its order, in place of what its config says: a name a line,"
            " numbered or not, a list or an object in JSON or Python",
        )


def dictionary_arguments(command: argparse.ArgumentParser) -> None:
    """Adds the arguments that say which dictionaries of features are among the model's taps."""
    group = command.add_argument_group("dictionaries of features")
    group.add_argument(
        "--dictionary",
        action="append",
        default=[],
        metavar="TAP=FILE",
        help="a sparse autoencoder of a tap's values, a file or folder of saev, Prisma, PatchSAE, overcomplete,"
        " sae-for-vlm, sparsify, SAELens or vitjax; its latents are the units TAP.sae:N, of TAP@NAME=FILE"
        " TAP.sae@NAME:N; ,FIELD=VALUE after it says what the file does not, e.g. ,activation=topk,k=32;"
        " may be given again",
    )
    group.add_argument(
        "--check-dictionary",
        metavar="DATA",
        help="say how much each explains of the activations on 32 images of a folder, a zip, a parquet file or a data"
        " set of the hub",
    )


def load(args: argparse.Namespace, dtype: str | None = None):
    """Loads the model that the arguments name; a wrong name or file is answered before JAX is imported."""
    from vitjax.weights.find.source import parse

    parse(args.model, args.revision)
    if names := getattr(args, "class_names", None):
        from vitjax.weights.class_lists import class_names

        class_names(names)
    from vitjax.units.in_files import files_in
    from vitjax.weights.load import load

    how = {"image_size": args.image_size, "dtype": dtype or args.dtype, "revision": args.revision}
    features = [*getattr(args, "dictionary", ())]
    named = files_in([getattr(args, name, None) for name in ("units", "taps", "to", "beside")])
    features += [file for file in named if file not in features]
    model = load(args.model, **how, base=args.base, class_names=names, dictionaries=features)
    if data := getattr(args, "check_dictionary", None):
        _check_dictionaries(model, data)
    return model


def _check_dictionaries(model, data: str) -> None:
    """Says how much each dictionary of the model explains on some images."""
    if not model.dictionaries:
        raise InputError("--check-dictionary goes with --dictionary")
    import numpy as np

    from vitjax.data.files.open import open_images
    from vitjax.data.pipeline import pixels
    from vitjax.weights.dictionaries import sanity

    images = open_images(data)
    images = images.some(min(sanity.IMAGES, len(images)))
    sanity.check(model, pixels(images, range(len(images)), model.config).astype(np.float32) / 255)


def outlined(args: argparse.Namespace):
    """The model that the arguments name: a checkpoint's, or an architecture's, with shapes in place of its arrays."""
    from vitjax.weights.families.timm.models import CLASSES, by_name
    from vitjax.weights.load import sized

    if args.model in CLASSES:
        from vitjax.models.registry import abstract

        return abstract(sized(by_name(args.model), args.image_size))
    return load(args, "float32")


def open_photographs(args: argparse.Namespace):
    """Opens the images that the arguments name, and says on stderr which kinds of files beside them are left out."""
    import sys

    from vitjax.data.files.open import open_images

    images = open_images(args.data, args.split)
    for line in images.beside:
        print(f"vitjax: {line}", file=sys.stderr)
    return images.some(args.limit)


def push_arguments(command, what: str) -> None:
    """Adds `--push` and `--private` of a command that can publish what it writes, `what` in words."""
    command.add_argument("--push", metavar="OWNER/NAME", help=f"then upload it as a {what} of that name to the hub")
    command.add_argument("--private", action="store_true", help="with --push: for its owner only, if it is new")


def check_push(args: argparse.Namespace) -> None:
    """Raises InputError for `--private` without `--push`."""
    if args.private and not args.push:
        raise InputError("--private goes with --push")


def path(text: str) -> Path:
    """A path; an empty text is none, as of a shell's variable that was never set: it would be the current folder."""
    if not text:
        raise argparse.ArgumentTypeError("the path is empty; write . for the current folder")
    return Path(text)


def free_folder(name: str) -> Path:
    """Finds a free folder here called `name`, or else `name-2`, `name-3`, …"""
    folder, number = Path(name), 1
    while folder.exists():
        number += 1
        folder = Path(f"{name}-{number}")
    return folder


def size(text: str) -> tuple[int, int]:
    """Reads (height, width): 224 or 196x260."""
    sides = text.lower().split("x")
    if not all(side.isdigit() and int(side) for side in sides) or len(sides) > 2:
        raise argparse.ArgumentTypeError(f"{text!r} is no image size: write 224 or 196x260 (height x width)")
    return int(sides[0]), int(sides[-1])


def count(text: str) -> int:
    """Reads a whole number of at least 1."""
    if not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least 1")
    return int(text)


def seed(text: str) -> int:
    """Reads a seed, of 32 bits."""
    if not text.isdigit() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"{text!r} is no seed: a whole number from 0 to {2**32 - 1}")
    return int(text)


def seeds(text: str) -> tuple[int, ...]:
    """Reads seeds, different ones: 0,1,2."""
    found = tuple(map(seed, text.split(",")))
    if len(set(found)) < len(found):
        raise argparse.ArgumentTypeError(f"{text!r} names a seed twice")
    return found


def number(text: str) -> int:
    """Reads a whole number from 0."""
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


def numbers(text: str) -> list[int]:
    """Reads whole numbers: 0,6,11."""
    if not all(part.isdigit() for part in text.split(",")):
        raise argparse.ArgumentTypeError(f"{text!r} is no list of numbers like 0,6,11")
    return [int(part) for part in text.split(",")]


def fractions(text: str) -> tuple[float, ...]:
    """Reads numbers: 1,0.5,0.25."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of numbers like 1,0.5,0.25") from None


def shard(text: str) -> tuple[int, int]:
    """Reads which part of how many, counted from 0: 0/2 is the first of two."""
    part, slash, parts = text.partition("/")
    if not slash or not part.isdigit() or not parts.isdigit() or int(part) >= int(parts):
        raise argparse.ArgumentTypeError(f"{text!r} is no part: write 0/2 and 1/2 for the two halves")
    return int(part), int(parts)


def set_argument(group) -> None:
    """Adds `--set`, which changes a recipe; `changes` reads it."""
    group.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="change a field of the recipe, or one of one of its stages: steps=200, stages.0.size=0.25; all stages at"
        """ once as JSON: 'stages=[{"size": 0.5, "steps": 60}, {"steps": 40}]', none: 'stages=[]'""",
    )


def changes(pairs: Sequence[str]) -> dict[str, str]:
    """Reads FIELD=VALUE pairs as a mapping."""
    for pair in pairs:
        if "=" not in pair:
            raise InputError(f"--set takes FIELD=VALUE, not {pair!r}; for example --set steps=200")
    return dict(pair.split("=", 1) for pair in pairs)
