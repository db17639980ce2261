"""Writes what came of a training as a folder that `vitjax.load` takes, with a card that says which model it is."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from vitjax.files import write_whole
from vitjax.models.core.network import Network
from vitjax.weights import parameters
from vitjax.weights.formats.names import RESULT
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
    return Card(name, "", parameters.digest(model), licence, type(model).__name__.lower(), trainer)


def written(
    model: Network,
    out: Path,
    trainer: str,
    about: Mapping[str, Any],
    record: str,
    measure: Callable[[Network], Mapping[str, float]] | None,
    export: Callable[[Network, Path], None] = export,
) -> int:
    """Writes a trained model into the folder of its run, measures it, and says what came of it; gives the exit code.

    Args:
        model: with its final weights.
        out: the folder of the run.
        trainer: that trained it, for its card.
        about: what else the record says.
        record: the name of the record, JSON.
        measure: what is said of the model, e.g. its accuracy.
        export: writes it into a folder.
    """
    model.card = card_of(model, out.absolute().name, trainer)
    export(model, out / RESULT)
    told = dict(measure(model)) if measure else {}
    write_whole(out / record, (json.dumps({**about, **told}, indent=1) + "\n").encode())
    if told:
        print(", ".join(f"{name} {value:.4g}" for name, value in told.items()))
    print(f"model: {out / RESULT}")
    return 0
