"""Writes what came of a training as a folder that `vitjax.load` takes, with a card that says which model it is."""

import hashlib
from pathlib import Path

from vitjax.models.core.network import Network
from vitjax.weights import parameters
from vitjax.weights.publish.converted import export
from vitjax.weights.publish.provenance import Card


def card_of(model: Network, name: str, trainer: str, licence: str = "") -> Card:
    """The card of a model that was trained here: the digest of its weights says which it is.

    Args:
        model: with its final weights.
        name: what it is called.
        trainer: what trained it.
        licence: of the weights.
    """
    arrays = parameters.values(model)
    digest = hashlib.sha256(b"".join(arrays[name].tobytes() for name in sorted(arrays))).hexdigest()
    return Card(name, "", digest, licence, type(model).__name__.lower(), trainer)


def write(model: Network, folder: Path, name: str, trainer: str) -> None:
    """Writes a trained model; an older one of the same folder is replaced.

    Args:
        model: with its final weights.
        folder: where.
        name, trainer: for its card.
    """
    named, model.card = model.card, card_of(model, name, trainer)
    try:
        export(model, folder)
    finally:
        model.card = named
