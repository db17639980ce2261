"""Runs `vitjax atlas`: the job with its progress on the terminal, and at its end the page."""

import sys
import time
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np

from vitjax.atlas.job.compared.tables import class_of
from vitjax.atlas.job.job import Job, even
from vitjax.atlas.job.look import apart
from vitjax.atlas.job.progress import Screen, exporting
from vitjax.atlas.job.work import Status, work
from vitjax.atlas.page import scripts
from vitjax.atlas.page.contents import Contents
from vitjax.atlas.page.export import export
from vitjax.atlas.page.reader import contents
from vitjax.atlas.records import agreement, finished, manifest
from vitjax.atlas.records.log import totals
from vitjax.atlas.records.photographs import begun_with
from vitjax.atlas.store.checksums import LARGEST, flaws
from vitjax.atlas.store.folder import MARK, is_export
from vitjax.atlas.store.store import Store, Unreachable
from vitjax.errors import AGAIN, InputError, printable
from vitjax.files import read_bytes, read_json
from vitjax.optimize.memory import fitting_slots
from vitjax.optimize.report import painted_in
from vitjax.optimize.visualize import SLOTS
from vitjax.progress import spelled
from vitjax.stop import stopped_by_signals
from vitjax.weights.dtypes import suited


def run(job: Job, out: str, *, beside: bool = False, page: bool = True) -> int:
    """Makes an atlas or goes on with it; gives the exit code.

    Args:
        job: what is made; where its manifest leaves the slots or the dtype open, they are those of the store, or as
            memory allows and as suits the devices.
        out: the address of the store.
        beside: where that holds another atlas, begin one beside it: atlas-2, atlas-3, …
        page: write the page when it is finished.

    Raises:
        InputError: as `work`, or the store lies among the photographs.
    """
    clock = time.perf_counter()
    store = Store(out)
    apart(store, job.data)
    job, store = _placed(job, store, beside)
    if job.data and (known := begun_with(store)) and "content" not in known:
        what = "was begun by a version that kept no checksum of photographs: that these are the same is taken on trust"
        print(f"vitjax: {store.address} {what}", file=sys.stderr)
    if job.data:  # classes are read at the end; a mistake in them is said now
        class_of(job.data, job.model, np.arange(len(job.data.images)))
    screen = Screen()
    with stopped_by_signals() as stop:
        try:
            status = work(job, store, screen, stop)
        finally:
            screen.close()
    if status is Status.FINISHED:
        _tell(store, time.perf_counter() - clock)
        if page and stop.asked.is_set():  # while it finished
            status = Status.STOPPED
        elif page:
            show(store)
    if status is Status.STOPPED:
        print(f"vitjax: stopped; run the same command again to go on with {store.address}", file=sys.stderr)
        return AGAIN
    if status is Status.WAITING:
        part, parts = job.shard
        print(f"part {part} of {parts} is done; the last part to be done finishes {store.address}")
    return 0


def show(store: Store, *, bytes: bool = True) -> Path | None:
    """Writes the page of a finished atlas into its folder, unless it is there, whole and up to date; says where it is.

    Args:
        store: of the atlas.
        bytes: whether to read all files of a page that is there; without, damage that keeps their sizes is not seen.

    Returns:
        The page; None for a store that is no local folder.
    """
    if store.folder is None:
        print(f"vitjax atlas export {store.address} --to FOLDER writes the page")
        return None
    page, what = store.folder / "page", contents(store)
    if not _same(page, what, bytes):
        with exporting() as progress:
            export(what, page, overwrite=True, progress=progress)
    print(f"page: {page / 'index.html'}   (open it, or: vitjax serve {store.folder})")
    return page


def _same(page: Path, what: Contents, bytes: bool) -> bool:
    """Tells whether a page is there, whole, and shows this atlas as it is now."""
    try:
        shown = is_export(page) and read_json(page / "manifest.json", largest=LARGEST)
    except InputError:
        return False
    if shown != scripts.plain(what.manifest) or any(flaws(page, bytes=bytes)):
        return False
    about = scripts.unscript(read_bytes(page / MARK), str(page / MARK))
    return about.get("schema") == scripts.SCHEMA  # older ones are written anew


def _placed(job: Job, store: Store, beside: bool) -> tuple[Job, Store]:
    """Settles what is open; with `beside`, finds the first store from this one on that is free or holds this atlas."""
    address, number = store.address.rstrip("/"), 1
    while True:
        settled = _settled(job, store)
        try:
            if beside:
                agreement.compare(store, settled.manifest)
            return settled, store
        except Unreachable:  # and so would be those beside it
            raise
        except InputError:
            number += 1
            store = Store(f"{address}-{number}")


def _settled(job: Job, store: Store) -> Job:
    """Settles slots and dtypes: as asked for, as when the atlas was begun, or as suits the memory and the devices."""
    about = job.manifest
    try:
        there = manifest.read(store)
        about = replace(about, measuring=there.measuring)
    except InputError:  # a new store, or `compare` will say what is wrong
        there = None
    about = replace(about, dtype=about.dtype or (there.dtype if there else suited(jax.local_devices()[0])))
    model = job.model.cast(about.measuring or about.dtype)
    job = replace(job, manifest=about, model=model, painter=model.cast(about.dtype))
    slots = about.slots or (there.slots if there else 0) or _fitting(job)
    return replace(job, manifest=replace(about, slots=slots))


def _fitting(job: Job) -> int:
    """Counts the slots that memory allows in the last tap, as `even`."""
    most = fitting_slots(job.painting, job.units[-1].tap, job.recipe, execution=job.execution) or SLOTS["cpu"]
    return even(job.units, most)


def _tell(store: Store, seconds: float) -> None:
    """Prints what a finished atlas holds and what it took."""
    about = finished.ended(store)
    verdicts = ", ".join(f"{count} {verdict}" for verdict, count in about.verdicts.items())
    made = painted_in(manifest.read(store).dtype)
    print(f"{about.units} units, {about.pictures} pictures{made}{': ' + verdicts if verdicts else ''}")
    if about.retried or about.repeats:
        print(f"{about.retried} units painted again, {about.repeats} units nearly repeat another")
    if about.unreadable:
        name, reason = next(iter(about.unreadable.items()))
        print(
            f"{len(about.unreadable)} photographs could not be read, e.g. {printable(f'{name}: {reason}')}",
            file=sys.stderr,
        )
    spent = totals(store)
    rate = spent.pictures / spent.device_hours if spent.device_hours else 0
    print(f"{rate:.0f} pictures an hour and device, {spent.outside:.0%} of the time outside the loop")
    print(", ".join(f"{stage} {spelled(took)}" for stage, took in spent.stages.items()))
    print(f"atlas: {store.address}  (this run {spelled(seconds)})")
