"""Says what is tried, one attempt after another, for units whose pictures have failed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from vitjax.analysis.photographs.exemplars import Exemplars
from vitjax.atlas.records.report_cards import ReportCard, merit
from vitjax.data.files.images import Images
from vitjax.data.pipeline import pixels
from vitjax.models.registry import Config
from vitjax.optimize.recipes import Recipe
from vitjax.optimize.workers import Goal, Starts

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
    """Lists what is tried, in this order, for units whose pictures have failed so far."""
    seed = max(seeds) + 1 if max(seeds) + 1 < 2**32 else min(set(range(len(seeds) + 1)) - set(seeds))
    yield Attempt("seed", f"another seed, {seed}", recipe, seed)
    yield Attempt("exemplar", "from its best photograph", recipe, seeds[0], from_exemplar=True)
    if not recipe.before_activation:
        yield Attempt("before", "before its activation function", replace(recipe, before_activation=True), seeds[0])


def failing(cards: Mapping[str, Sequence[ReportCard]]) -> list[str]:
    """Picks the units whose best picture so far is one of `RETRIED`; `cards` are those of all tries, {unit: cards}."""
    return [unit for unit, tries in cards.items() if max(tries, key=merit).get("verdict") in RETRIED]


def from_photographs(found: Exemplars, images: Images, config: Config) -> Starts:
    """Makes starts of each unit's best photograph."""

    def starts(goals: Sequence[Goal]) -> np.ndarray:
        naturals = [found.taps[goal.tap] for goal in goals]
        rows = [np.ravel_multi_index(goal.index, natural.shape) for goal, natural in zip(goals, naturals, strict=True)]
        return pixels(images, [natural.place[row, 0] for natural, row in zip(naturals, rows, strict=True)], config)

    return starts
