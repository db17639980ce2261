"""Grades stored pictures: gives each its report card, batch by batch; what has its cards is not graded again."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vitjax.analysis.report import grades
from vitjax.analysis.report.grading import Finished, histories
from vitjax.analysis.report.report_card import report_cards as graded
from vitjax.analysis.report.verdicts import RULE, Rule
from vitjax.analysis.report.yardstick import Yardstick
from vitjax.atlas.job.job import Run
from vitjax.atlas.records import report_cards
from vitjax.atlas.records.report_cards import ReportCard
from vitjax.atlas.records.series import Series
from vitjax.models.core.network import Network
from vitjax.optimize.schedule.batches import Batch

TOGETHER = 256  # pictures graded between two writes


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

    def __call__(self, entries: Finished, activation: Sequence[float]) -> list[ReportCard]:
        """Gives each picture its report card; `activation` is the unit's on it."""
        if self.measure is not None:
            return graded(self.model, entries, self.measure, tokens=self.tokens, rule=self.rule)
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


def grade(run: Run, series: Series, judge: Judge) -> None:
    """Grades what has no report cards yet.

    Raises:
        InputError: pictures are missing or damaged.
        Stopped: that was asked for before all were graded.
    """
    run.begin("grading", len(series.units))
    there = series.done(run.store, "cards")
    # Groups are those of the whole series, whatever is there: what is graded together is compiled together, and a grade
    # must not depend on where an earlier run stopped.
    for several in _together(series.batches):
        if there.issuperset(batch.number for batch in several):
            continue
        run.stop.here()
        found = [series.pictures(run.store, batch) for batch in several]
        images = np.concatenate([images for images, _ in found])
        join = lambda name, found=found: [value for _, record in found for value in getattr(record, name)]
        units = [unit for batch in several for unit in batch.goals]
        rows = judge(Finished(images, units, histories(join("history"))), join("activation"))
        for batch in several:
            mine, rows = rows[: len(batch.goals)], rows[len(batch.goals) :]
            report_cards.write(run.store, series, batch, mine)
        run.report.done(len(images))


def _together(batches: Sequence[Batch]) -> list[list[Batch]]:
    """Groups batches, about `TOGETHER` pictures each."""
    several: list[list[Batch]] = [[]]
    for batch in batches:
        if sum(len(one.goals) for one in several[-1]) + len(batch.goals) > TOGETHER:
            several.append([])
        several[-1].append(batch)
    return [some for some in several if some]
