"""Makes sure that a store holds the atlas that is wanted, or says in words what differs."""

import re
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from vitjax.atlas.records.manifest import COPY, KEY, Manifest, made, stated
from vitjax.atlas.store.sealed import seal
from vitjax.atlas.store.store import Store
from vitjax.errors import InputError

BEFORE = ("claims/", "activations/")  # what a store may hold before its manifest


def agree(store: Store, wanted: Manifest) -> None:
    """Begins a store with a manifest, or makes sure that it holds the same.

    Raises:
        InputError: as `compare`.
    """
    if compare(store, wanted) and not store.create(KEY, seal(asdict(wanted) | {"made": made()}, indent=1)):
        compare(store, wanted)  # another host was faster
    if store.read(COPY) is None:
        store.write(COPY, store.read(KEY))


def compare(store: Store, wanted: Manifest) -> bool:
    """Tells whether a store is free; if not, it holds the atlas that is wanted.

    Raises:
        InputError: the store holds another atlas, the message says what differs; or something else.
    """
    there = stated(store)
    if there is None:
        others = [key for key in store.keys("") if not key.startswith(BEFORE)]
        there = stated(store) if KEY in others else None  # another host has begun it since
    if there is None:
        if others:
            raise InputError(f"{store.address} is not empty ({others[0]}) and holds no atlas; choose another --out")
        return True
    if found := list(differences(there, asdict(wanted))):
        raise InputError(
            f"{store.address} holds another atlas: {'; '.join(found)}. Choose another --out, or --beside to begin"
            " a new one beside it"
        )
    return False


def differences(found: Any, wanted: Any, path: str = "") -> Iterator[str]:
    """Says what differs, in words: `recipe.steps is 160 there, 200 here`."""
    if path in ("model.source", "data.source"):  # the same weights and photographs may lie in another place
        return
    if path == "data.content" and found is None:  # begun by a version that did not look at the photographs' bytes
        return
    if path == "recipe":  # what an older version did not know is as by default
        found, wanted = ({"stages": []} | value for value in (found or {}, wanted))
    if path == "measuring":  # those versions measured in the dtype that they painted in
        found = found or ""
    if path == "units":
        tap = next((tap for tap in [*found, *wanted] if found.get(tap) != wanted.get(tap)), None)
        found, wanted, path = (found.get(tap), wanted.get(tap), f"units of {tap}") if tap else (0, 0, path)
    if isinstance(found, dict) and isinstance(wanted, dict):
        for name in wanted:
            yield from differences(found.get(name), wanted[name], f"{path}.{name}".lstrip("."))
    elif found != wanted:
        yield f"{path} is {_short(found)} there, {_short(wanted)} here"


def _short(value: Any) -> str:
    if value == []:
        return "none"
    text = re.sub(r"[{}\[\]'\"]", "", str(value)) if isinstance(value, dict | list) else str(value)
    return text if len(text) <= 60 else text[:57] + "…"
