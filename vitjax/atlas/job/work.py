"""A job and a store in, the job done as far as this host can: looks at photographs, paints what is missing, finishes.

Hosts share the plan and the store and nothing else: each does its part, and the one that completes the last part
finishes the atlas.
"""

from dataclasses import replace
from enum import Enum

import jax

from vitjax.analysis.photographs.exemplars import Exemplars
from vitjax.atlas.job import finish
from vitjax.atlas.job.claim import Held, claimed
from vitjax.atlas.job.finish import Finish
from vitjax.atlas.job.job import Job, Reporter
from vitjax.atlas.job.natural import look, same_photographs
from vitjax.atlas.job.paint import Log, paint
from vitjax.atlas.store import manifest
from vitjax.atlas.store.series import Series
from vitjax.atlas.store.store import Store
from vitjax.errors import Stopped
from vitjax.optimize.visualize import check


class Status(Enum):
    """How a run ended."""

    FINISHED = "finished"
    WAITING = "this part is done, others are not"
    STOPPED = "stopped on request"


def work(job: Job, store: Store) -> Status:
    """Goes on with the atlas in a store, from wherever it is.

    Raises:
        InputError: the store holds another atlas, another process is at work on this part, or it cannot be read or
            written.
    """
    for series in job.manifest.series(job.units):  # a mistake is said before a store is begun with it
        check(job.model, series.recipe, series.seed, series.units)
    if job.data is not None:
        same_photographs(store, job.data.images)
    manifest.agree(store, job.manifest)
    with claimed(store, f"{job.shard[0]}-of-{job.shard[1]}"):
        manifest.compare(store, job.manifest)  # two that began at once have agreed on one
        if (ended := finish.ended(store)) and ended.options == finish.options(job):
            return Status.FINISHED
        try:
            return _go_on(job, store)
        except Stopped:
            return Status.STOPPED


def _go_on(job: Job, store: Store) -> Status:
    log, series = Log(job.shard, devices=jax.local_device_count()), job.manifest.series(job.units)
    job = replace(job, report=_timed(job.report, log))
    found = _look(job, store)
    for one in series:
        job.report.begin(f"painting, seed {one.seed}", _missing(job, store, one))
        whole = paint(
            store,
            one,
            job.model,
            shard=job.shard,
            remat=job.remat,
            enough=job.enough,
            stepped=job.stepped,
            finished=job.report.done,
            log=log,
        )
        if not whole:
            return Status.STOPPED
    if any(len(one.done(store)) < len(one.batches) for one in series):
        return Status.WAITING
    if job.data is not None and found is None:
        found = _look(job, store)  # the other parts may have come meanwhile
        if found is None:
            return Status.WAITING
    if found is not None:
        job = replace(job, data=replace(job.data, images=found.images))
    try:
        with claimed(store, "end"):
            done = Finish(job, store, found, log).run()
    except Held:  # by another host that found all parts done
        return Status.WAITING
    log.write(store)
    return Status.FINISHED if done else Status.STOPPED


def _timed(report: Reporter, log: Log) -> Reporter:
    """The same reporter, whose stages the log times."""

    def begin(stage: str, total: int) -> None:
        log.stage(stage)
        report.begin(stage, total)

    return Reporter(begin, report.done)


def _look(job: Job, store: Store) -> Exemplars | None:
    """What photographs say; None without photographs, or while other hosts' parts are missing."""
    if job.data is None:
        return None
    taps, tokens = list(dict.fromkeys(unit.tap for unit in job.units)), job.manifest.recipe["tokens"]
    return look(store, job.model, replace(job.data, shard=job.shard), taps, job.manifest.k, tokens, job.enough)


def _missing(job: Job, store: Store, series: Series) -> int:
    """How many of a host's pictures are still to be painted."""
    there, mine = series.done(store), series.batches[job.shard[0] :: job.shard[1]]
    return sum(len(batch.goals) for batch in mine if batch.number not in there)
