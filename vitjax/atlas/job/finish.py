"""Finishes a painted atlas: grades its pictures, paints units that fail again, and has it all compared and closed."""

from collections.abc import Iterator, Sequence

from vitjax.analysis.photographs.exemplars import Exemplars
from vitjax.analysis.report.yardstick import yardstick
from vitjax.atlas.job.attempts import attempts, failing, from_photographs
from vitjax.atlas.job.compared.compare import compare
from vitjax.atlas.job.compared.tables import Made
from vitjax.atlas.job.grade import Judge, grade
from vitjax.atlas.job.job import Run
from vitjax.atlas.job.paint import paint
from vitjax.atlas.records import report_cards, retries
from vitjax.atlas.records.series import Series


def finish(run: Run, found: Exemplars | None) -> None:
    """Finishes an atlas, all of whose first pictures are in the store.

    Args:
        run: of its job.
        found: what photographs say of the taps, or None without photographs.

    Raises:
        Stopped: that was asked for; what was graded and painted is in the store.
    """
    job = run.job
    run.begin("photographs")
    judge = Judge(job.model, job.recipe.tokens, yardstick(job.model, job.data, found) if found else None)
    makes = [_graded(run, one, f"seed {one.seed}", judge) for one in job.manifest.series(job.units)]
    if job.retry and found:
        makes = [*makes, *_painted_again(run, found, makes, judge)]
    run.stop.here()
    compare(run, found, makes)


def _painted_again(run: Run, found: Exemplars, makes: Sequence[Made], judge: Judge) -> Iterator[Made]:
    """Paints units that fail again, each attempt graded before the next."""
    job = run.job
    by_name = {str(unit): unit for unit in job.units}
    tries = {name: [make.cards[name] for make in makes] for name in by_name}
    for attempt in attempts(job.recipe, job.manifest.seeds):
        if not (names := failing(tries)):
            return
        units = [by_name[name] for name in names]
        series = retries.begin(run.store, attempt.key, units, attempt.recipe, attempt.seed, job.manifest)
        starts = from_photographs(found, job.data.images, job.model.config) if attempt.from_exemplar else None
        paint(run, series, f"painting again, {attempt.made}", starts=starts)
        make = _graded(run, series, attempt.made, judge)
        for name, card in make.cards.items():
            tries[name].append(card)
        yield make


def _graded(run: Run, series: Series, made: str, judge: Judge) -> Made:
    grade(run, series, judge)
    return Made(series, made, report_cards.read(run.store, series))
