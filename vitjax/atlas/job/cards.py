"""Stored pictures in, their report cards into the store out, batch by batch: what has its cards is not graded again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Event

import numpy as np

from vitjax.analysis.report import grades
from vitjax.analysis.report.grading import Finished
from vitjax.analysis.report.report_card import COPY, GOOD, RULE, Rule, report_cards
from vitjax.analysis.report.yardstick import Yardstick
from vitjax.atlas.store.series import Series
from vitjax.atlas.store.store import Store
from vitjax.models.core.network import Network
from vitjax.optimize.workers import Batch

TOGETHER = 256  # pictures graded between two writes

Card = dict[str, str | int | float | bool | None]
_NUMBERS = ("activation", "rise")  # by which the best picture is chosen


@dataclass(frozen=True)
class _Graded:
    """The file of a batch's cards."""

    cards: list[Card]


@dataclass(frozen=True)
class Judge:
    """Grades pictures.

    Attributes:
        model: that they were made for.
        tokens: which of its tokens count.
        measure: what photographs say; None without photographs, and then only what needs none is graded.
        rule: thresholds of the verdicts.
    """

    model: Network
    tokens: str
    measure: Yardstick | None
    rule: Rule = RULE

    def __call__(self, entries: Finished, activation: Sequence[float]) -> list[Card]:
        """A card for each picture; `activation` is the unit's on it."""
        if self.measure is not None:
            return report_cards(self.model, entries, self.measure, tokens=self.tokens, rule=self.rule)
        columns = {
            "clipped": grades.clipped(entries.images),
            "colour": grades.colour(entries.images),
            "slope": grades.slope(entries.history),
        }
        return [
            {"unit": str(unit), "activation": float(activation[i])}
            | {name: float(column[i]) if np.isfinite(column[i]) else None for name, column in columns.items()}
            for i, unit in enumerate(entries.units)
        ]


def grade(
    store: Store,
    series: Series,
    judge: Judge,
    *,
    enough: Event | None = None,
    graded: Callable[[int], None] = lambda _: None,
) -> bool:
    """Grades what has no cards yet; gives whether all has them now. `graded` is told of pictures that are done.

    Raises:
        InputError: pictures are missing or damaged.
    """
    there = series.done(store, "cards")
    # Groups are those of the whole series, whatever is there: what is graded together is compiled together, and a grade
    # must not depend on where an earlier run stopped.
    for several in _together(series.batches):
        if there.issuperset(batch.number for batch in several):
            continue
        if enough and enough.is_set():
            return False
        found = [series.pictures(store, batch) for batch in several]
        images = np.concatenate([images for images, _ in found])
        join = lambda name, found=found: [value for _, record in found for value in getattr(record, name)]
        units = [unit for batch in several for unit in batch.goals]
        rows = judge(Finished(images, units, np.array(join("history"))), join("activation"))
        for batch in several:
            mine, rows = rows[: len(batch.goals)], rows[len(batch.goals) :]
            store.write_json(series.card_key(batch.number), {"cards": mine})
        graded(len(images))
    return True


def read(store: Store, series: Series) -> dict[str, Card]:
    """The cards of a series, {unit: card}."""
    return {card["unit"]: card for batch in series.batches for card in of_batch(store, series, batch)}


def of_batch(store: Store, series: Series, batch: Batch) -> list[Card]:
    """The cards of a batch.

    Raises:
        InputError: they are missing or damaged.
    """
    found = store.read_json(key := series.card_key(batch.number), _Graded | list[Card])
    rows = found.cards if isinstance(found, _Graded) else found  # older stores have the bare list
    if rows is None or [card.get("unit") for card in rows] != list(map(str, batch.goals)):
        raise store.damaged(key, "it is of other units")
    if any("activation" not in card or isinstance(card.get(name), str) for card in rows for name in _NUMBERS):
        raise store.damaged(key, "an activation is no number")
    return rows


def merit(card: Card) -> tuple[bool, bool, float]:
    """By what the best of a unit's pictures is chosen: good ones first, copies of photographs last.

    Among equals it is the one that moves its unit most.
    """
    first, verdict = card.get("rise", card["activation"]), card.get("verdict")
    return verdict == GOOD, verdict != COPY, -np.inf if first is None else first


def _together(batches: Sequence[Batch]) -> list[list[Batch]]:
    several: list[list[Batch]] = [[]]
    for batch in batches:
        if sum(len(one.goals) for one in several[-1]) + len(batch.goals) > TOGETHER:
            several.append([])
        several[-1].append(batch)
    return [some for some in several if some]
