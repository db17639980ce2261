"""Downloads a dictionary's file from the hub, and what stands beside it."""

from contextlib import suppress
from pathlib import Path, PurePosixPath

from huggingface_hub import constants

from vitjax.weights.dictionaries.held import OURS, OURS_FORM, SETTINGS
from vitjax.weights.find import hub


def fetched(repo: str, file: str, revision: str | None) -> Path:
    """Gives the path in the hub's cache of a file, whose settings lie beside it if the repository has them there.

    Args:
        repo: OWNER/NAME.
        file: its path in the repository.
        revision: branch, tag or commit; default the newest.

    Raises:
        InputError: unknown repository, revision or file, no access, or no connection and nothing cached.
    """
    path = Path(hub.download(repo, file, revision or constants.DEFAULT_REVISION))
    parts = PurePosixPath(file)
    commit = path.parents[len(parts.parts) - 1].name  # the hub's cache is .../snapshots/COMMIT/FILE
    for name in (OURS_FORM,) if parts.name == OURS else SETTINGS:
        with suppress(hub.Absent):
            hub.download(repo, str(parts.with_name(name)), commit)
    return path
