"""`vitjax atlas` as it runs: signals, progress on the terminal, the job, and at its end the page."""

import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event

import jax
import numpy as np

from vitjax.atlas.job import finish
from vitjax.atlas.job.job import Job
from vitjax.atlas.job.natural import begun_with
from vitjax.atlas.job.paint import totals
from vitjax.atlas.job.screen import Screen, exporting
from vitjax.atlas.job.work import Status, work
from vitjax.atlas.page import scripts
from vitjax.atlas.page.contents import Contents
from vitjax.atlas.page.export import export
from vitjax.atlas.page.tables import class_of
from vitjax.atlas.store import manifest
from vitjax.atlas.store.checksums import LARGEST, flaws
from vitjax.atlas.store.folder import is_export
from vitjax.atlas.store.reader import contents
from vitjax.atlas.store.store import Store
from vitjax.data.dataset import Dataset
from vitjax.errors import AGAIN, InputError, printable
from vitjax.files import read_json
from vitjax.models.core.network import Network
from vitjax.optimize.memory import fitting_slots
from vitjax.optimize.recipes import Recipe
from vitjax.optimize.visualize import SLOTS, resolve
from vitjax.units.units import Unit, sample


@dataclass(frozen=True)
class Request:
    """What the command line asks for: see `vitjax atlas --help`."""

    model: Network
    units: Sequence[str] | None
    sample: int | None
    recipe: Recipe
    seeds: Sequence[int]
    slots: int | None
    remat: bool
    retry: bool
    data: Dataset | None
    k: int
    out: str
    shard: tuple[int, int] | None
    beside: bool
    page: bool


def run(request: Request) -> int:
    """Makes an atlas or goes on with it; gives the exit code."""
    clock = time.perf_counter()
    if request.recipe.variants > 1:
        raise InputError("an atlas has one picture a unit: leave out variants, or use `vitjax visualize`")
    if (channels := request.model.config.channels) != 3:
        raise InputError(f"an atlas is of models that read red, green and blue, not {channels} channels")
    units = resolve(request.model, request.units or f"{request.model.neurons}:*")
    units = _in_order(request.model, sample(units, request.sample, 0) if request.sample else units)
    store = Store(request.out)
    _apart(store, request.data)
    shard = request.shard or (jax.process_index(), jax.process_count())
    store, wanted = _beside(request, units, store) if request.beside else (store, _manifest(request, units, store))
    if request.data and (known := begun_with(store)) and "content" not in known:
        what = "was begun by a version that kept no checksum of photographs: that these are the same is taken on trust"
        print(f"vitjax: {store.address} {what}", file=sys.stderr)
    screen = Screen()
    data = request.data and replace(request.data, progress=screen.photographs)
    if data:  # classes are read at the end; a mistake in them is said now
        class_of(data, request.model, np.arange(len(data.images)))
    with stopped_by_signals() as enough:
        job = Job(
            request.model,
            units,
            wanted,
            data,
            shard,
            request.retry,
            request.remat,
            screen.reporter(request.recipe.steps),
            screen.steps,
            enough,
        )
        try:
            status = work(job, store)
        finally:
            screen.close()
    if status is Status.FINISHED:
        _tell(store, time.perf_counter() - clock)
        if request.page and enough.is_set():  # asked to stop while it finished
            status = Status.STOPPED
        elif request.page:
            show(store)
    if status is Status.STOPPED:
        print(f"vitjax: stopped; run the same command again to go on with {store.address}", file=sys.stderr)
        return AGAIN
    if status is Status.WAITING:
        print(f"part {shard[0]} of {shard[1]} is done; the last part to be done finishes {store.address}")
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
    """Whether a page is there, whole, and shows this atlas as it is now."""
    try:
        shown = is_export(page) and read_json(page / "manifest.json", largest=LARGEST)
    except InputError:
        return False
    return shown == scripts.plain(what.manifest) and not any(flaws(page, bytes=bytes))


def _apart(store: Store, data: Dataset | None) -> None:
    """Says that an atlas among its own photographs would be taken for some of them at the next run."""
    if data and store.folder and Path(data.images.source).resolve() in (out := store.folder.resolve(), *out.parents):
        raise InputError(f"{store.address} lies within the photographs {data.images.source}: choose another --out")


def _in_order(model: Network, units: Sequence[Unit]) -> list[Unit]:
    """By the order of the model's taps, then of the index."""
    order = {tap: i for i, tap in enumerate(model.taps())}
    return sorted(units, key=lambda unit: (order[unit.tap], unit.index))


def _manifest(request: Request, units: Sequence[Unit], store: Store) -> manifest.Manifest:
    k = min(request.k, len(request.data.images)) if request.data else request.k
    wanted = manifest.manifest(request.model, units, request.recipe, request.seeds, request.slots or 0, request.data, k)
    if request.slots:
        return wanted
    return replace(wanted, slots=_chosen(store) or _slots(request, units))


def _chosen(store: Store) -> int | None:
    """The slots that were chosen when the atlas was begun: they hold."""
    try:
        return manifest.read(store).slots
    except InputError:  # a new store, or `compare` will say what is wrong
        return None


def _slots(request: Request, units: Sequence[Unit]) -> int:
    """As many as memory allows in the last tap, or fewer where a tap's units then fall into equal batches."""
    most = fitting_slots(request.model, units[-1].tap, request.recipe, remat=request.remat) or SLOTS["cpu"]
    largest = max(Counter(unit.tap for unit in units).values())
    return -(-largest // -(-largest // most))


def _beside(request: Request, units: Sequence[Unit], store: Store) -> tuple[Store, manifest.Manifest]:
    """The store itself if it is free or holds this atlas, else the first such one beside it: atlas-2, atlas-3, …"""
    address, number = store.address.rstrip("/"), 1
    while True:
        wanted = _manifest(request, units, store)
        try:
            manifest.compare(store, wanted)
            return store, wanted
        except InputError:
            number += 1
            store = Store(f"{address}-{number}")


@contextmanager
def stopped_by_signals() -> Iterator[Event]:
    """An event that SIGTERM sets, as a scheduler sends it before it takes the machine away.

    From here on Ctrl-C is an exception, if it ended the process at once before (`vitjax.__main__`).
    """
    enough = Event()
    before = signal.signal(signal.SIGTERM, lambda *_: enough.set())
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield enough
    finally:
        signal.signal(signal.SIGTERM, before)


def _tell(store: Store, seconds: float) -> None:
    about = finish.ended(store)
    verdicts = ", ".join(f"{count} {verdict}" for verdict, count in about.verdicts.items())
    print(f"{about.units} units, {about.pictures} pictures{': ' + verdicts if verdicts else ''}")
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
    print(", ".join(f"{stage} {seconds:.0f} s" for stage, seconds in spent.stages.items()))
    print(f"atlas: {store.address}  (this run {seconds:.0f} s)")
