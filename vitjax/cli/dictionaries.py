"""Declares which dictionaries of features a command takes, and says how much they explain of a model."""

import argparse

from vitjax.errors import InputError


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


def check(model, data: str) -> None:
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
