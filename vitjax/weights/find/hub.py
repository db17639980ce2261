"""Downloads the files of a repository on the Hugging Face hub, of a model those of one exact commit.

All traffic goes through huggingface-hub, so its settings hold: HF_ENDPOINT, HF_HOME, HF_HUB_OFFLINE, HF_TOKEN, proxies.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import huggingface_hub as hub
from huggingface_hub import constants, errors

from vitjax.errors import InputError, nearest
from vitjax.weights.families import registry
from vitjax.weights.families.family import Beside
from vitjax.weights.find.source import Source
from vitjax.weights.formats import orbax_folder as folders
from vitjax.weights.formats.names import CONFIG, PROVENANCE, WEIGHTS, WEIGHTS_OF
from vitjax.weights.formats.open import read_json
from vitjax.weights.formats.sharded import SUFFIX, shards

# What each error of huggingface-hub means here, the narrower before the wider.
_LINES: dict[type[BaseException], str] = {
    errors.OfflineModeIsEnabled: "{repo} at {revision} is not in the hub's cache {cache}, and HF_HUB_OFFLINE is set",
    errors.GatedRepoError: "{repo} is gated: accept its terms at {endpoint}/{page}, then {log_in}",
    errors.RepositoryNotFoundError: "the hub has no {what}{hint}; if it is private, {log_in}",
    errors.RevisionNotFoundError: "{repo} has no revision {revision!r}",
    errors.RemoteEntryNotFoundError: "{repo} has no {file} at {revision}{needed}",
    errors.HfHubHTTPError: "the hub at {endpoint} answered {status} for {file} of {repo}, not in its cache; {help}",
    errors.FileMetadataError: "{endpoint} does not answer like a hub; check HF_ENDPOINT and the proxy",
    json.JSONDecodeError: "{endpoint} does not answer like a hub; check HF_ENDPOINT and the proxy",
    errors.HFValidationError: "{repo} is not a name that a repository on the hub can have",
}
_UNREACHED = "cannot reach the hub at {endpoint} ({reason}), and {repo} at {revision} is not in its cache"
_UNWRITTEN = "cannot write to the hub's cache {cache}: {reason}; HF_HOME says where it is"
_LOG_IN = "log in with `hf auth login` or set HF_TOKEN"
_HELP = {401: _LOG_IN, 403: _LOG_IN, 404: "check the name and HF_ENDPOINT"}
DOWNLOADS = 8  # at a time, of a converted model's files, as huggingface-hub has it
# Errors that are the hub's answer: what is in the cache does not make up for it.
FINAL = (errors.RepositoryNotFoundError, errors.RevisionNotFoundError, errors.RemoteEntryNotFoundError)


def fetch(source: Source) -> Source:
    """Downloads a hub model's config and weights, or a converted model, or finds them in the hub's cache.

    Without a network, or with HF_HUB_OFFLINE=1, the cache alone answers. A full commit that is cached needs no network.

    Args:
        source: with `repo`, and a `revision` or None for the newest.

    Returns:
        The source with `config` (none of a converted model), `weights` and, as `revision`, the 40 digits of the
        commit they are of.

    Raises:
        InputError: unknown repository, revision or file, no access, or no connection and nothing cached.
    """
    first = _first(source.repo, tuple(WEIGHTS_OF), source.revision or constants.DEFAULT_REVISION)
    commit = first.parent.name  # the hub's cache is .../snapshots/COMMIT/FILE
    if first.name == PROVENANCE:
        with ThreadPoolExecutor(DOWNLOADS) as pool:
            list(pool.map(lambda file: download(source.repo, file, commit), folders.listed(first)))
        return replace(source, weights=first, revision=commit)
    family = registry.known_as(read_json(first))
    if family and family.beside:
        _beside(source.repo, first.parent, family.beside)
    weights = _weights(source.repo, commit, WEIGHTS_OF[first.name])
    return replace(source, config=first, weights=weights, revision=commit)


def _beside(repo: str, snapshot: Path, beside: Beside) -> None:
    """Downloads settings that stand in one of several files; without a network the last that is cached will do."""
    *others, last = beside.files
    for name in others:
        with suppress(InputError if (snapshot / last).exists() else Absent):
            if beside.files[name] in read_json(Path(download(repo, name, snapshot.name))):
                return
    download(repo, last, snapshot.name)


def _weights(repo: str, commit: str, names: Sequence[str]) -> Path:
    """Downloads a repository's weights: the first of these names, and all that an index names."""
    path = _first(repo, names, commit)
    for shard in shards(path, read_json(path)) if path.name.endswith(SUFFIX) else ():
        download(repo, shard, commit)
    return path


def _first(repo: str, names: Sequence[str], revision: str) -> Path:
    """Finds the first of some files that is in the cache, else on the hub."""
    cached = []
    with suppress(errors.HFValidationError):  # the download says it
        found = ((name, hub.try_to_load_from_cache(repo, name, revision=revision)) for name in names)
        cached = [name for name, path in found if isinstance(path, str)]
    for name in dict.fromkeys((*cached, *names)):
        with suppress(Absent):
            return Path(download(repo, name, revision))
    raise InputError(f"{repo} has no {names[0]} at {revision}, nor {' or '.join(names[1:])}")


def check(files: Iterable[Path], digests: Iterable[str]) -> None:
    """Holds files of the hub's cache against the sha256 that the hub keeps of large ones.

    Args:
        files: links of the cache, `.../snapshots/COMMIT/FILE`, to blobs that bear the sha256 as their names.
        digests: the sha256 of each.

    Raises:
        InputError: other bytes than the hub has.
    """
    for file, digest in zip(files, digests, strict=True):
        blob = file.resolve()
        if re.fullmatch("[0-9a-f]{64}", blob.name) and blob.name != digest:
            raise InputError(f"{file} is not what the hub has; delete {blob} and download it again")


class Absent(InputError):
    """A file that a repository does not have, as the hub itself says."""


def download(repo: str, file: str, revision: str, kind: str = "model") -> str:
    """Gives the path in the hub's cache of one file of a repository, which is downloaded if it is not there.

    Args:
        repo: OWNER/NAME.
        file: its path in the repository.
        revision: branch, tag or commit.
        kind: "model" or "dataset".

    Raises:
        InputError: as `fetch`.
    """
    place = {"repo_id": repo, "filename": file, "revision": revision, "repo_type": kind}
    try:
        if hub.try_to_load_from_cache(**place) is None:
            # A download tries for 23 s before it says that there is no network; this asks once.
            with suppress(errors.HfHubHTTPError):
                hub.get_hf_file_metadata(hub.hf_hub_url(**place))
        return hub.hf_hub_download(**place)
    except FINAL as error:
        complaint = Absent if isinstance(error, errors.RemoteEntryNotFoundError) else InputError
        raise complaint(explain(error, repo, file, revision, kind)) from None
    except Exception as error:  # whatever happened to the connection, the cache may have the file
        with suppress(Exception):
            return hub.hf_hub_download(**place, local_files_only=True)
        raise InputError(explain(error, repo, file, revision, kind)) from None


def explain(error: Exception, repo: str, file: str, revision: str, kind: str = "model") -> str:
    """Says in one line why a download failed, by the first of its causes that says it; arguments as `download`."""
    found = ((cause, line) for cause in _causes(error) for known, line in _LINES.items() if isinstance(cause, known))
    # Only the disk's errors arrive with their number; the network's are wrapped.
    cause, line = next(found, (error, _UNWRITTEN if getattr(error, "errno", None) else _UNREACHED))
    status = getattr(getattr(cause, "response", None), "status_code", None)
    architecture, known = repo.split("/")[-1].split(".")[0], registry.names()
    model = kind == "model"
    return line.format(
        repo=repo,
        file=file,
        revision=revision,
        endpoint=constants.ENDPOINT,
        cache=constants.HF_HUB_CACHE,
        page=repo if model else f"datasets/{repo}",
        what=repo if model else f"data set {repo}",
        needed=f"; what can be loaded has {CONFIG} and {WEIGHTS}" if model else "",
        hint="" if not model or architecture in known else nearest(architecture, known),
        log_in=_LOG_IN,
        status=status,
        help=_HELP.get(status, "try again later"),
        reason=next(iter(str(error).splitlines()), type(error).__name__),
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and its causes, the first cause first."""
    if error is not None:
        yield from _causes(error.__cause__)
        yield error
