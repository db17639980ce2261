"""Paints the pictures of a series that the store does not have yet: hosts share what is missing."""

from contextlib import closing

from vitjax.atlas.job.job import Run
from vitjax.atlas.records.manifest import made
from vitjax.atlas.records.series import Series
from vitjax.optimize import workers
from vitjax.optimize.schedule.batches import meter_of
from vitjax.optimize.workers import Starts, Task


def paint(
    run: Run, series: Series, stage: str, *, shard: tuple[int, int] = (0, 1), starts: Starts | None = None
) -> None:
    """Paints what this host has to of a series and the store does not have; the log is written after each batch.

    Args:
        run: whose job it belongs to.
        series: what is painted.
        stage: what that is called.
        shard: (i, n): every n-th batch from the i-th on is this host's.
        starts: pictures to begin with, by units.

    Raises:
        Stopped: that was asked for before all were painted; the batches that were under way are in the store.
    """
    there, mine = series.done(run.store), series.batches[shard[0] :: shard[1]]
    missing = [batch for batch in mine if batch.number not in there]
    pictures = sum(len(batch.goals) for batch in missing)
    run.begin(stage, pictures, meter_of(run.job.model.config, series.recipe, missing))
    if not missing:
        return
    array, versions = series.array(run.store), made()
    job, left = run.job, len(missing)
    task = Task(job.painting, series.recipe, series.seed, execution=job.execution, starts=starts)
    painting = workers.run(task, missing, told=run.report.told, enough=run.stop.asked)
    with closing(painting):  # no worker outlives an error here
        for painted in painting:
            series.write(run.store, array, painted, versions)
            left -= 1
            run.log.looping += painted.looping
            run.log.pictures += len(painted.pictures)
            run.log.write(run.store)
            run.report.done(len(painted.pictures))
    if left:
        run.stop.here()
