"""An exported atlas in, a data set on the Hugging Face hub out, with a card that says what it is and how to open it.

All traffic goes through huggingface-hub, so its settings hold: HF_ENDPOINT, HF_TOKEN, proxies. A push that was
interrupted goes on when it is begun again: files that are there are not sent twice.
"""

import json
from pathlib import Path

import huggingface_hub as hub
from huggingface_hub import constants, errors

from vitjax.atlas.card import card
from vitjax.atlas.folder import MARK, is_export
from vitjax.errors import InputError

_PARTS = ("contact/*", "data/*", "page/*", "photos/*", "pictures/*", "sheets/*")  # of an older atlas, to be replaced
_OWN = {".gitattributes", "README.md"}  # what a data set may hold before it holds an atlas

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
    api = hub.HfApi()
    try:
        address = str(api.create_repo(repo, repo_type="dataset", private=private, exist_ok=True))
        if revision and not revision.startswith("refs/"):
            api.create_branch(repo, branch=revision, repo_type="dataset", exist_ok=True)
        there = set(api.list_repo_files(repo, repo_type="dataset", revision=revision))
        if there - _OWN and MARK not in there:
            raise InputError(f"{repo} holds {min(there - _OWN)} and no atlas: choose another name")
        first = {MARK: (folder / MARK).read_bytes()}  # from then on it is known as an atlas
        first |= {} if "README.md" in there else {"README.md": card(folder, repo)}
        place = {"repo_id": repo, "repo_type": "dataset", "revision": revision}
        if not first.keys() <= there:
            operations = [hub.CommitOperationAdd(name, data) for name, data in first.items()]
            api.create_commit(**place, operations=operations, commit_message="Begin an atlas")
        api.upload_folder(**place, folder_path=folder, delete_patterns=list(_PARTS), commit_message="Upload an atlas")
    except InputError:
        raise
    except Exception as error:  # the client of huggingface-hub has its own errors, and they change with its version
        raise InputError(_explain(error, repo, revision)) from None
    return address


def _explain(error: Exception, repo: str, revision: str | None) -> str:
    """One line on why an upload failed."""
    if isinstance(error, errors.HFValidationError):
        return f"{repo} is not a name that a data set on the hub can have: OWNER/NAME would be"
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
        what=f"the data set {repo}",
        said=f" ({said})" if said else "",
        log_in=_LOG_IN,
        endpoint=constants.ENDPOINT,
        status=status,
        reason=_line(str(error)) or type(error).__name__,
    )


def _line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")[:200]
