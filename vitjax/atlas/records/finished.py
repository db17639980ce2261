"""Says how an atlas ended, once it is finished: what stands in the last file that is written."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vitjax.atlas.store.store import Store

KEY = "finished.json"


@dataclass(frozen=True)
class End:
    """What is known of a finished atlas.

    Attributes:
        units, pictures: how many.
        verdicts: {verdict: how many units}.
        options: what decided how it ended and is not in the manifest.
        sha256: {key: checksum} of everything but the pictures and the logs.
        retried, repeats: units painted again, and such that nearly repeat another.
        unreadable: {photograph: why it could not be read}.
    """

    units: int
    pictures: int
    verdicts: Mapping[str, int]
    options: Mapping[str, Any]
    sha256: Mapping[str, str]
    retried: int = 0
    repeats: int = 0
    unreadable: Mapping[str, str] = field(default_factory=dict)


def ended(store: Store) -> End | None:
    """Reads what is known of a finished atlas; None of one that is not finished.

    Raises:
        InputError: it is damaged.
    """
    return store.read_json(KEY, End)
