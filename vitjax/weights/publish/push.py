"""Publishes the folder of a converted model on the Hugging Face hub, where `vitjax.load` finds it by its name."""

import os
from pathlib import Path

from vitjax.errors import InputError
from vitjax.files import read_bytes
from vitjax.weights.cache import CONVERTER
from vitjax.weights.formats import orbax_folder as folders
from vitjax.weights.formats.names import PROVENANCE
from vitjax.weights.publish.readme import README
from vitjax.weights.publish.upload import Kind, publish

MODEL = Kind("converted model", "model", "model", PROVENANCE, (f"{folders.ARRAYS}/*",))


def push(folder: str | os.PathLike[str], repo: str, *, private: bool = False) -> str:
    """Uploads a folder to a model on the hub, which is made if need be; `vitjax.load(repo)` then loads it.

    An older conversion there is replaced; a README.md that is there stays as it is.

    Args:
        folder: what `vitjax.weights.publish.converted.export` wrote.
        repo: OWNER/NAME.
        private: whether a repository that is made now is for its owner alone.

    Returns:
        The address of the model's page.

    Raises:
        InputError: no whole converted model, no such place, no right to write there, other things lie there, no
            connection.
    """
    folder = Path(folder)
    if not folders.is_whole(folder, {"converter": CONVERTER}):
        raise InputError(f"{folder} is no whole converted model")
    return publish(folder, repo, MODEL, read_bytes(folder / README), private=private)
