"""Declares and reads what says the classes of images: those that are learned from, and those that are measured on."""

import argparse
from dataclasses import replace

from vitjax.cli.arguments import count, path
from vitjax.errors import InputError


def add_classes(group) -> None:
    """Adds the flags for the classes of `--data`."""
    group.add_argument("--labels", type=path, metavar="FILE", help="images and classes: .csv, .tsv, .txt or .json")
    group.add_argument("--classes", type=count, metavar="N", help="how many there are, where folders do not tell")
    group.add_argument("--class-names", type=path, metavar="FILE", help="what they are called, in the head's order")


def add_validation(group) -> None:
    """Adds the flags for images to measure on."""
    group.add_argument("--validation", metavar="DATA", help="images that the result is measured on, as for --data")
    group.add_argument("--validation-split", metavar="SPLIT", help="part of a parquet data set, e.g. validation")
    group.add_argument("--validation-labels", type=path, metavar="FILE", help="their classes, as for --labels")


def classified(args: argparse.Namespace, images):
    """Finds the config and, where there are weights, the model, with a new head; names of the classes, and classes."""
    from vitjax.data.annotations.labels import labelled
    from vitjax.train.classes import classes_of
    from vitjax.train.initial import initial, with_classes
    from vitjax.weights.class_lists import class_names

    names = class_names(args.class_names) if args.class_names else classes_of(images, args.classes, args.labels)
    if args.class_names and args.classes not in (None, len(names)):
        raise InputError(f"{args.class_names} names {len(names)} classes, --classes {args.classes}")
    many = len(names) or args.classes
    labels = labelled(images, many, args.labels, names).numbers
    config, given = initial(args.model, args.image_size, args.revision)
    given = given and with_classes(given, names or many, getattr(args, "seed", 0))
    return replace(config, classes=many), given, names, labels


def measure(args: argparse.Namespace, config, names):
    """Gives what measures the accuracy on `--validation`, whose classes are looked up at once."""
    if not args.validation:
        if given := [name for name in ("split", "labels") if getattr(args, f"validation_{name}")]:
            raise InputError(f"--validation-{given[0]} goes with --validation")
        return None
    from vitjax.train.measure import accuracy

    try:
        return accuracy(args.validation, args.validation_split, config.classes, names, args.validation_labels)
    except InputError as error:
        raise InputError(str(error).replace("--labels", "--validation-labels")) from None
