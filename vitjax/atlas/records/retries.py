"""Remembers which units are painted again, and how, so that a run that goes on paints the same ones."""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from vitjax.atlas.records.condensed import condense, spread
from vitjax.atlas.records.manifest import Manifest, recipe_of
from vitjax.atlas.records.series import Series
from vitjax.atlas.store.store import Store
from vitjax.errors import InputError
from vitjax.optimize.recipes import Recipe, fields
from vitjax.units.units import Unit

PREFIX, AGAIN = "series/", "retry-"
_BEGUN = re.compile(PREFIX + rf"({AGAIN}[a-z]+)\.json")


@dataclass(frozen=True)
class _Begun:
    """What the store remembers of a retry: its units, condensed, and how they are painted."""

    units: dict[str, str]
    recipe: dict[str, Any]
    seed: int


def begin(store: Store, key: str, units: Sequence[Unit], recipe: Recipe, seed: int, about: Manifest) -> Series:
    """Begins the series `retry-KEY` of `units`; one that was begun before keeps the units it was begun with."""
    name = f"{AGAIN}{key}"
    found = _read(store, name)
    if found is None:
        found = _Begun(condense(units), fields(recipe), seed)
        store.write_json(f"{PREFIX}{name}.json", asdict(found))
    return _series(store, name, found, about)


def begun(store: Store, about: Manifest) -> list[Series]:
    """Reads the series of all retries that were begun."""
    return [begun_under(store, key, about) for key in keys(store)]


def keys(store: Store) -> list[str]:
    """Lists where the retries that were begun are described."""
    return [key for key in store.keys(PREFIX) if _BEGUN.fullmatch(key)]


def begun_under(store: Store, key: str, about: Manifest) -> Series:
    """Reads the series of one retry; raises an InputError if its description is damaged."""
    name = _BEGUN.fullmatch(key)[1]
    return _series(store, name, _read(store, name), about)


def _read(store: Store, name: str) -> _Begun | None:
    return store.read_json(f"{PREFIX}{name}.json", _Begun)


def _series(store: Store, name: str, begun: _Begun, about: Manifest) -> Series:
    try:
        units, recipe = spread(begun.units), recipe_of(begun.recipe)
    except InputError as error:
        raise store.damaged(f"{PREFIX}{name}.json", str(error)) from None
    return Series(name, recipe, begun.seed, units, about.slots, tuple(about.image_size))
