"""Writes a model into a folder that vitjax loads without converting anything, and reads such a folder.

It holds Orbax arrays, their provenance and a README.md for the hub.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from vitjax.errors import InputError
from vitjax.files import unwritten
from vitjax.models.core.class_names import ClassNames
from vitjax.models.core.network import Network
from vitjax.models.registry import KINDS, Config
from vitjax.weights import parameters
from vitjax.weights.cache import CONVERTER, described, rebuilt
from vitjax.weights.class_lists import fitting
from vitjax.weights.formats import orbax_folder as folders
from vitjax.weights.formats.names import PROVENANCE
from vitjax.weights.publish.provenance import Card
from vitjax.weights.publish.readme import README, of_model

PROOF = "parity.json"  # of a conversion that was held against the library it came from
OLD = "{} was converted by another version of vitjax; convert it again"
NAMES = "class_names"  # in provenance.json, of a model whose classes have names


def export(
    model: Network, folder: str | os.PathLike[str], *, proof: Mapping[str, Any] | None = None, repo: str | None = None
) -> None:
    """Writes a loaded model; an older one of the same folder is replaced when the new one is whole.

    Of a model that came from this machine's disk the name of its file or folder is kept, not the path.

    Args:
        model: as `vitjax.load` gives it, with its card.
        folder: made if it is not there.
        proof: its errors against the library it came from, to be written beside it.
        repo: OWNER/NAME on the hub that it is made for, if any.

    Raises:
        InputError: a folder that holds something else, or that cannot be written.
    """
    folder, card = Path(folder), model.card
    if folder.exists() and not (folder / PROVENANCE).exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is there and holds no converted model; choose another name")
    if not card.revision:
        card = replace(card, source=Path(card.source).expanduser().absolute().name)
    origin = asdict(card)
    contents = {"converter": CONVERTER, "sha256": card.sha256, "config": described(model.config), "origin": origin}
    contents["kind"] = type(model.config).__name__
    if model.class_names:
        contents[NAMES] = {"names": list(model.class_names.names), "ids": list(model.class_names.ids)}
    arrays = parameters.values(model)
    count = sum(array.size for array in arrays.values())
    place = repo or "path/to/this/folder"
    texts = {README: of_model(model.config, card, count, place, PROOF if proof else "")}
    texts |= {PROOF: json.dumps(proof, indent=2)} if proof else {}
    try:
        folders.write(folder, contents, origin, arrays, texts)
    except Exception as error:  # a full disk reaches us as whatever TensorStore makes of it
        raise unwritten(folder, error) from None


def open_folder(provenance: Path, dtype: Any) -> tuple[Config, Card, ClassNames, dict[str, np.ndarray]]:
    """Reads what `export` wrote.

    Args:
        provenance: its `provenance.json`.
        dtype: of the arrays.

    Raises:
        InputError: a folder of another version, incomplete or damaged.
    """
    folder, stated = provenance.parent, folders.read_json(provenance)
    try:
        old = "kind" not in stated or "mode" not in stated["config"]["preprocess"]  # it was not all written once
        if stated["converter"] != CONVERTER or old:
            raise InputError(OLD.format(folder))
        kinds = {kind.__name__: kind for kind in KINDS}
        config, card = rebuilt(kinds[stated["kind"]], stated["config"]), Card(**stated["origin"])
        names = ClassNames(**{key: tuple(map(str, value)) for key, value in stated.get(NAMES, {}).items()})
        if names:
            fitting(names, config.classes, f"{folder}: {NAMES}")
        if not folders.is_whole(folder, {}):
            raise InputError(f"{folder} is incomplete: its files are not those that {provenance.name} lists")
        wanted = {name: jax.ShapeDtypeStruct(shape, dtype) for name, shape in parameters.shapes(config).items()}
        if folders.lacks(folder, wanted):
            raise InputError(OLD.format(folder))
        return config, card, names, folders.read(folder, wanted)
    except InputError:
        raise
    except Exception as error:  # anything that a damaged text or checkpoint leads to
        raise InputError(f"{folder} is damaged ({type(error).__name__}); convert it again") from None
