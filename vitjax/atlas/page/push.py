"""Uploads an exported atlas to the Hugging Face hub as a data set, with a README that says how to open it."""

from pathlib import Path

from vitjax.atlas.page.dataset_readme import dataset_readme
from vitjax.atlas.store.folder import MARK, is_export
from vitjax.errors import InputError
from vitjax.weights.publish.upload import Kind, publish

_PARTS = ("contact/*", "data/*", "page/*", "photos/*", "pictures/*", "sheets/*")  # of an older atlas, to be replaced
ATLAS = Kind("atlas", "dataset", "data set", MARK, _PARTS)


def push(folder: str | Path, repo: str, *, revision: str | None = None, private: bool = False) -> str:
    """Uploads an exported atlas to a data set, which is made if need be; files of an older atlas there are replaced.

    A README.md that the data set has already stays as it is.

    Args:
        folder: what `export` wrote.
        repo: OWNER/NAME.
        revision: a branch, made if need be; the data set's own main branch unless said.
        private: whether a data set that is made now is for its owner alone.

    Returns:
        The address of the data set's page.

    Raises:
        InputError: no exported atlas, no such place, no right to write there, other things lie there, no connection.
    """
    folder = Path(folder).expanduser()
    if not is_export(folder):
        raise InputError(f"{folder} is no exported atlas: {MARK} is missing")
    return publish(folder, repo, ATLAS, dataset_readme(folder, repo), revision=revision, private=private)
