"""Dictionaries as vitjax keeps them: dictionary.json, which is the form, and dictionary.safetensors, the arrays."""

import json
import os
from dataclasses import asdict, fields

import numpy as np
from safetensors.numpy import save

from vitjax.errors import InputError, nearest
from vitjax.files import write_files
from vitjax.models.dictionaries.dictionary import Dictionary
from vitjax.models.dictionaries.form import Form
from vitjax.weights.dictionaries.held import OURS, OURS_FORM, Held, Parts

VERSION = "vitjax_dictionary"  # a key of dictionary.json


def known(held: Held) -> bool:
    """Whether the file is ours."""
    return held.where == "beside" and VERSION in held.settings


def read(held: Held) -> Parts:
    """Reads it."""
    if held.settings[VERSION] != 1:
        raise InputError(f"{held.path} is of version {held.settings[VERSION]}, 1 is read")
    names = [field.name for field in fields(Form)]
    form = {name: value for name, value in held.settings.items() if name not in (VERSION, "source")}
    if unknown := [name for name in form if name not in names]:
        raise InputError(f"{held.path} says {unknown[0]!r} of the dictionary{nearest(unknown[0], names)}")
    return Parts(form, {name: held[name] for name in held.names})


def save_dictionary(dictionary: Dictionary, folder: str | os.PathLike[str]) -> None:
    """Writes a dictionary, both files or none; `read_dictionary(folder)` reads it back.

    Raises:
        InputError: a folder that cannot be written.
    """
    arrays = {name: np.asarray(variable[...], np.float32) for name, variable in dictionary.arrays.items()}
    source = {"source": asdict(dictionary.card)} if dictionary.card else {}
    form = json.dumps({VERSION: 1, **asdict(dictionary.form), **source}, indent=2) + "\n"
    write_files(folder, {OURS: save(arrays), OURS_FORM: form.encode()})
