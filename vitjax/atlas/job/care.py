"""Report cards in, further attempts out: units whose pictures fail are painted again from other starts."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from vitjax.analysis.photographs.exemplars import Exemplars
from vitjax.atlas.job.cards import Card, merit
from vitjax.atlas.store.condensed import condense, spread
from vitjax.atlas.store.manifest import Manifest, recipe_of
from vitjax.atlas.store.series import Series
from vitjax.atlas.store.store import Store
from vitjax.data.files.images import Images
from vitjax.data.pipeline import pixels
from vitjax.errors import InputError
from vitjax.models.registry import Config
from vitjax.optimize.objectives import Goal
from vitjax.optimize.recipes import Recipe
from vitjax.optimize.workers import Starts
from vitjax.units.units import Unit

PREFIX = "series/"
_BEGUN = re.compile(PREFIX + r"(retry-[a-z]+)\.json")
RETRIED = ("dead", "faint", "weak")  # verdicts that another start may mend


@dataclass(frozen=True)
class Attempt:
    """One way to paint a unit again.

    Attributes:
        key: names the series `retry-KEY`.
        made: how, in words that stand beside the picture.
        recipe, seed: of the attempt.
        from_exemplar: whether it starts from the unit's best photograph.
    """

    key: str
    made: str
    recipe: Recipe
    seed: int
    from_exemplar: bool = False


def attempts(recipe: Recipe, seeds: Sequence[int]) -> Iterator[Attempt]:
    """What is tried, in this order, for units whose pictures have failed so far."""
    seed = max(seeds) + 1 if max(seeds) + 1 < 2**32 else min(set(range(len(seeds) + 1)) - set(seeds))
    yield Attempt("seed", f"another seed, {seed}", recipe, seed)
    yield Attempt("exemplar", "from its best photograph", recipe, seeds[0], from_exemplar=True)
    if not recipe.before_activation:
        yield Attempt("before", "before its activation function", replace(recipe, before_activation=True), seeds[0])


def failing(cards: Mapping[str, Sequence[Card]]) -> list[str]:
    """The units whose best picture so far is one of `RETRIED`."""
    return [unit for unit, tries in cards.items() if max(tries, key=merit).get("verdict") in RETRIED]


@dataclass(frozen=True)
class _Begun:
    """What the store remembers of an attempt: its units, condensed, and how they are painted."""

    units: dict[str, str]
    recipe: dict[str, Any]
    seed: int


def series_of(store: Store, attempt: Attempt, units: Sequence[Unit], about: Manifest) -> Series:
    """The pictures of an attempt: of `units`, or of those it was begun with, which the store remembers."""
    name = f"retry-{attempt.key}"
    begun = _read(store, name)
    if begun is None:
        begun = _Begun(condense(units), asdict(attempt.recipe), attempt.seed)
        store.write_json(f"{PREFIX}{name}.json", asdict(begun))
    return _series(store, name, begun, about)


def begun(store: Store, about: Manifest) -> list[Series]:
    """The series of all attempts that were begun."""
    return [begun_under(store, key, about) for key in keys(store)]


def keys(store: Store) -> list[str]:
    """Where the attempts that were begun are described."""
    return [key for key in store.keys(PREFIX) if _BEGUN.fullmatch(key)]


def begun_under(store: Store, key: str, about: Manifest) -> Series:
    """The series of one attempt; raises an InputError if its description is damaged."""
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


def from_photographs(found: Exemplars, images: Images, config: Config) -> Starts:
    """Starts with each unit's best photograph."""

    def starts(goals: Sequence[Goal]) -> np.ndarray:
        naturals = [found.taps[goal.tap] for goal in goals]
        rows = [np.ravel_multi_index(goal.index, natural.shape) for goal, natural in zip(goals, naturals, strict=True)]
        return pixels(images, [natural.place[row, 0] for natural, row in zip(naturals, rows, strict=True)], config)

    return starts
