"""Opens one split of a data set on the Hugging Face hub: its parquet files, by way of the hub's cache."""

import re
from contextlib import suppress
from pathlib import Path

import huggingface_hub as hub
from huggingface_hub import constants

from vitjax.data.files.images import Images
from vitjax.data.files.parquet import table
from vitjax.data.files.readers import walk
from vitjax.data.files.splits import absent, choose
from vitjax.errors import InputError
from vitjax.weights.find.hub import FINAL, download, explain

CONVERTED = "refs/convert/parquet"  # where the hub itself puts what it has made of data sets in other formats
_ADDRESS = re.compile(r"hf:/{1,2}datasets/([\w.-]+(?:/[\w.-]+)?)(?:@([\w./-]+))?/?")


def open_hub(address: str, split: str | None = None) -> Images:
    """Downloads a split of a data set, or finds it in the hub's cache.

    Where the newest revision has no parquet files, those that the hub has converted are taken. Without a network, or
    with HF_HUB_OFFLINE=1, the cache alone answers.

    Args:
        address: `hf://datasets/OWNER/NAME`, with `@REVISION` (branch, tag or commit) where the newest is not meant.
        split: e.g. "validation", see `choose`.

    Raises:
        InputError: unknown data set, revision or split, no access, no connection and not all of the split cached, or
            what `table` raises.
    """
    found = _ADDRESS.fullmatch(address)
    if not found:
        raise InputError(f"{address} is no data set on the hub: hf://datasets/OWNER/NAME or …/NAME@REVISION would be")
    repo, revision = found[1], found[2]
    revision, names = _parquet_files(repo, (revision,) if revision else (constants.DEFAULT_REVISION, CONVERTED))
    chosen, called = choose(names, split, f"hf://datasets/{repo}")
    if gone := absent(chosen):
        raise InputError(f"{gone} of {gone + len(chosen)} files of {called} of {repo} are not in the hub's cache")
    # The last file first: where a download was stopped, earlier ones are missing and `absent` can tell. Asking for it
    # by the revision's own name makes the cache remember which commit that is.
    last = Path(download(repo, chosen[-1], revision, "dataset"))
    root = last.parents[chosen[-1].count("/")]  # the hub's cache is .../snapshots/COMMIT/FILE
    for name in chosen[:-1]:
        download(repo, name, root.name, "dataset")
    return table([root / name for name in chosen], f"hf://datasets/{repo}@{root.name} ({called})", called)


def _parquet_files(repo: str, revisions: tuple[str, ...]) -> tuple[str, list[str]]:
    """Finds the first of the revisions with parquet files, and their names."""
    complaints = []
    for revision in revisions:
        try:
            names = [name for name in _listing(repo, revision) if name.endswith(".parquet")]
        except InputError as error:
            complaints.append(error)
        else:
            if names:
                return revision, names
    if len(complaints) == len(revisions):
        raise complaints[0]
    raise InputError(f"{repo} has no parquet files at {' or '.join(revisions)}")


def _listing(repo: str, revision: str) -> list[str]:
    try:
        return [file.rfilename for file in hub.HfApi().dataset_info(repo, revision=revision).siblings or ()]
    except FINAL as error:
        raise InputError(explain(error, repo, "its list of files", revision, "dataset")) from None
    except Exception as error:  # whatever happened to the connection, the cache may have the files
        with suppress(Exception):
            cached = {"local_files_only": True, "allow_patterns": []}  # without patterns it would want all files there
            return list(walk(Path(hub.snapshot_download(repo, repo_type="dataset", revision=revision, **cached))))
        raise InputError(explain(error, repo, "its list of files", revision, "dataset")) from None
