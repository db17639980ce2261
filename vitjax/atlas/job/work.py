"""Does a job over a store, as far as this host can: looks at photographs, paints what is missing, finishes.

Hosts share the plan and the store and nothing else: each does its part, and the one that completes the last part
finishes the atlas.
"""

from dataclasses import replace
from enum import Enum

import jax

from vitjax.atlas.job.compared.compare import options
from vitjax.atlas.job.finish import finish
from vitjax.atlas.job.job import Job, Run
from vitjax.atlas.job.look import look
from vitjax.atlas.job.paint import paint
from vitjax.atlas.job.progress import Reporter
from vitjax.atlas.records.agreement import agree, compare
from vitjax.atlas.records.finished import ended
from vitjax.atlas.records.log import Log
from vitjax.atlas.records.photographs import same_photographs
from vitjax.atlas.store.claim import Held, claimed
from vitjax.atlas.store.store import Store
from vitjax.errors import Stopped
from vitjax.optimize.visualize import check
from vitjax.stop import Stop


class Status(Enum):
    """How a run ended."""

    FINISHED = "finished"
    WAITING = "this part is done, others are not"
    STOPPED = "stopped on request"


def work(job: Job, store: Store, report: Reporter | None = None, stop: Stop | None = None) -> Status:
    """Goes on with the atlas in a store, from wherever it is.

    Args:
        job: what is made.
        store: where.
        report: is told how it goes.
        stop: asks it to end early, see `vitjax.stop`.

    Raises:
        InputError: the store holds another atlas, another process is at work on this part, or it cannot be read or
            written.
    """
    report, stop = report or Reporter(), stop or Stop()
    for series in job.manifest.series(job.units):  # a mistake is said before a store is begun with it
        check(job.model, series.recipe, series.seed, series.units)
    if job.data is not None:
        same_photographs(store, job.data.images)
        job = replace(job, data=replace(job.data, progress=report.photographs))
    agree(store, job.manifest)
    with claimed(store, f"{job.shard[0]}-of-{job.shard[1]}"):
        compare(store, job.manifest)  # two that began at once have agreed on one
        if (end := ended(store)) and end.options == options(job):
            return Status.FINISHED
        run = Run(job, store, Log(job.shard, devices=jax.local_device_count()), report, stop)
        try:
            return _go_on(run)
        except Stopped:
            run.log.write(store)
            return Status.STOPPED


def _go_on(run: Run) -> Status:
    """Does what is missing, stage by stage."""
    job, store, series = run.job, run.store, run.job.manifest.series(run.job.units)
    found = look(run)
    for one in series:
        paint(run, one, f"painting, seed {one.seed}", shard=job.shard)
    if any(len(one.done(store)) < len(one.batches) for one in series):
        return Status.WAITING
    if job.data is not None and found is None:
        found = look(run)  # the other parts may have come meanwhile
        if found is None:
            return Status.WAITING
    if found is not None:
        run = replace(run, job=replace(job, data=replace(job.data, images=found.images)))
    try:
        with claimed(store, "end"):
            finish(run, found)
            run.log.write(store)
    except Held:  # by another host that found all parts done
        return Status.WAITING
    return Status.FINISHED
