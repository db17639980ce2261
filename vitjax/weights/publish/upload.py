"""Uploads a folder of files to a repository on the Hugging Face hub.

All traffic goes through huggingface-hub, so its settings hold: HF_ENDPOINT, HF_TOKEN, proxies. A push that was
interrupted goes on when it is begun again: files that are there are not sent twice.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import huggingface_hub as hub
from huggingface_hub import constants, errors
from huggingface_hub.utils import validate_repo_id

from vitjax.errors import InputError
from vitjax.files import read_bytes
from vitjax.weights.publish.readme import README

_OWN = {".gitattributes", README}  # what a repository may hold before anything was pushed to it

_LOG_IN = "log in with `hf auth login` or set HF_TOKEN"
# What the hub's answers mean here; {said} is the hub's own reason.
_ANSWERS = {
    400: "the hub refuses {what}{said}",
    401: f"the hub does not know who you are: {_LOG_IN} to a token that may write",
    403: "you may not write to {what}{said}; HF_TOKEN must be a token with the right to write there",
    404: "the hub has no place for {what}{said}: check the name, or {log_in}",
    409: "{what} was changed by another while it was written{said}; push again",
    413: "{what} is too large for the hub{said}",
    429: "the hub asks for a pause{said}; push again later, it goes on where it stopped",
}
_OTHER = "the hub at {endpoint} answered {status}{said}; push again later, it goes on where it stopped"
_UNREACHED = "pushing to {repo} on {endpoint} failed ({reason}); push again, it goes on where it stopped"


@dataclass(frozen=True)
class Kind:
    """What a folder is and what becomes of it.

    Attributes:
        name: of what is published, e.g. "atlas".
        repo_type: "dataset" or "model".
        repo_name: the same in words.
        mark: the file by which such a folder is known.
        parts: patterns of the files of an older one that are replaced.
    """

    name: str
    repo_type: str
    repo_name: str
    mark: str
    parts: tuple[str, ...]


def check_name(repo: str, kind: Kind) -> None:
    """Raises InputError if no repository can have this name; asks nobody."""
    try:
        validate_repo_id(repo)
        valid = "/" in repo
    except errors.HFValidationError:
        valid = False
    if not valid:
        raise InputError(f"{repo!r} is not a name that a {kind.repo_name} on the hub can have: OWNER/NAME would be")


def publish(
    folder: Path, repo: str, kind: Kind, readme: bytes, *, revision: str | None = None, private: bool = False
) -> str:
    """Uploads a folder to a repository, which is made if need be; files of an older upload there are replaced.

    A README.md that the repository has already stays as it is.

    Args:
        folder: with its mark in it.
        repo: OWNER/NAME.
        kind: what the folder is.
        readme: the text of README.md, if there is none yet.
        revision: a branch, made if need be; the repository's own main branch unless said.
        private: whether a repository that is made now is for its owner alone.

    Returns:
        The address of the repository's page.

    Raises:
        InputError: no such place, no right to write there, other things lie there, no connection.
    """
    check_name(repo, kind)
    api = hub.HfApi()
    try:
        address = str(api.create_repo(repo, repo_type=kind.repo_type, private=private, exist_ok=True))
        if revision and not revision.startswith("refs/"):
            api.create_branch(repo, branch=revision, repo_type=kind.repo_type, exist_ok=True)
        there = set(api.list_repo_files(repo, repo_type=kind.repo_type, revision=revision))
        if there - _OWN and kind.mark not in there:
            raise InputError(f"{repo} holds {min(there - _OWN)} and no {kind.name}: choose another name")
        first = {kind.mark: read_bytes(folder / kind.mark)}  # from then on it is known as ours
        first |= {} if README in there else {README: readme}
        place = {"repo_id": repo, "repo_type": kind.repo_type, "revision": revision}
        if not first.keys() <= there:
            operations = [hub.CommitOperationAdd(name, data) for name, data in first.items()]
            api.create_commit(**place, operations=operations, commit_message=f"Begin: {kind.name}")
        api.upload_folder(
            **place,
            folder_path=folder,
            ignore_patterns=[README],
            delete_patterns=list(kind.parts),
            commit_message=f"Upload: {kind.name}",
        )
    except InputError:
        raise
    except Exception as error:  # the client of huggingface-hub has its own errors, and they change with its version
        raise InputError(_explain(error, repo, revision, kind)) from None
    return address


def _explain(error: Exception, repo: str, revision: str | None, kind: Kind) -> str:
    """Says in one line why an upload failed."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, errors.RevisionNotFoundError):
        return f"{repo} has no revision {revision!r}"
    said = _line(getattr(error, "server_message", None) or "")
    line = _ANSWERS.get(status, _OTHER) if status else _UNREACHED
    if isinstance(error, errors.OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE is set: nothing can be pushed"
    if isinstance(error, json.JSONDecodeError | KeyError):
        return f"{constants.ENDPOINT} does not answer like a hub; check HF_ENDPOINT and the proxy"
    return line.format(
        repo=repo,
        what=f"the {kind.repo_name} {repo}",
        said=f" ({said})" if said else "",
        log_in=_LOG_IN,
        endpoint=constants.ENDPOINT,
        status=status,
        reason=_line(str(error)) or type(error).__name__,
    )


def _line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")[:200]
