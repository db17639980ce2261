"""Reads the report cards that a store has of its pictures, and says which of a unit's pictures is best."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vitjax.analysis.report.verdicts import COPY, GOOD
from vitjax.atlas.records.series import Series
from vitjax.atlas.store.store import Store
from vitjax.optimize.schedule.batches import Batch

ReportCard = dict[str, str | int | float | bool | None]
_NUMBERS = ("activation", "rise")  # by which the best picture is chosen


@dataclass(frozen=True)
class _File:
    """The file of a batch's report cards."""

    cards: list[ReportCard]


def write(store: Store, series: Series, batch: Batch, cards: Sequence[ReportCard]) -> None:
    """Puts the report cards of a batch into the store."""
    store.write_json(series.card_key(batch.number), {"cards": list(cards)})


def read(store: Store, series: Series) -> dict[str, ReportCard]:
    """Reads the report cards of a series, {unit: card}; errors as of `of_batch`."""
    return {card["unit"]: card for batch in series.batches for card in of_batch(store, series, batch)}


def of_batch(store: Store, series: Series, batch: Batch) -> list[ReportCard]:
    """Reads the report cards of a batch.

    Raises:
        InputError: they are missing or damaged.
    """
    found = store.read_json(key := series.card_key(batch.number), _File | list[ReportCard])
    rows = found.cards if isinstance(found, _File) else found  # older stores have the bare list
    if rows is None or [card.get("unit") for card in rows] != list(map(str, batch.goals)):
        raise store.damaged(key, "it is of other units")
    if any("activation" not in card or isinstance(card.get(name), str) for card in rows for name in _NUMBERS):
        raise store.damaged(key, "an activation is no number")
    return rows


def merit(card: ReportCard) -> tuple[bool, bool, float]:
    """Says by what the best of a unit's pictures is chosen: good ones first, copies of photographs last.

    Among equals it is the one that moves its unit most.
    """
    first, verdict = card.get("rise", card["activation"]), card.get("verdict")
    return verdict == GOOD, verdict != COPY, -np.inf if first is None else first
