"""Writes JSON that carries a checksum of itself, and reads it: a flipped bit is told, and never another value.

The checksum is of what the JSON says, not of how it is laid out. JSON without one, as older versions wrote it, is held
against its type alone.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, TypeVar

from vitjax.errors import InputError
from vitjax.files import held, parse_json

T = TypeVar("T")
SEAL = "checksum"  # the member that holds it


def seal(value: Mapping[str, Any], indent: int | None = None) -> bytes:
    """Writes the JSON of a mapping, in ASCII, with its checksum as the last member."""
    said = json.loads(json.dumps(value))  # what a reader will find: text as keys, lists for tuples
    return (json.dumps(said | {SEAL: _digest(said)}, indent=indent) + "\n").encode()


def unseal(data: bytes, where: str, kind: type[T] = dict[str, Any]) -> T:
    """Reads what sealed JSON says, held against a type.

    Args:
        data: the JSON.
        where: how messages call it.
        kind: what it must be, see `parse_json`.

    Raises:
        InputError: as `parse_json`, or it does not say what was sealed.
    """
    value = parse_json(data, where, Any)
    try:
        if isinstance(value, dict) and (stated := value.pop(SEAL, None)) is not None and stated != _digest(value):
            raise InputError(f"{where} does not match its own checksum")
    except RecursionError:
        raise InputError(f"{where} is nested too deeply") from None
    return held(value, where, kind)


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
