"""Finds what is missing or wrong in a store: reads everything again and holds it against its checksum."""

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vitjax.atlas.records import finished, manifest, report_cards, retries
from vitjax.atlas.records.photographs import PREFIX, part_at
from vitjax.atlas.records.series import Series
from vitjax.atlas.store import checksums
from vitjax.atlas.store.folder import is_export
from vitjax.atlas.store.store import Store
from vitjax.errors import InputError
from vitjax.optimize.schedule.batches import Batch
from vitjax.progress import Bar


@dataclass(frozen=True)
class Fault:
    """Something missing or wrong.

    Attributes:
        key: what, in the store.
        what: "missing" or what is wrong, in a few words.
        forget: keys to remove, so that the next run makes it anew.
        put: {key: bytes} to write in its place.
        lost: whether nothing can mend it.
    """

    key: str
    what: str
    forget: tuple[str, ...] = ()
    put: Mapping[str, bytes] = field(default_factory=dict)
    lost: bool = False


def faults(store: Store) -> Iterator[Fault | None]:
    """Checks a store piece by piece: a fault for each that is missing or wrong, None for each that is right.

    Pictures are held against their records; everything else, once the atlas is finished, against its end's checksums.
    """
    sums: Mapping[str, str] = {}
    try:
        end = finished.ended(store)
        yield None if end else Fault(finished.KEY, "missing")
        sums = end.sha256 if end else {}
    except InputError:
        yield Fault(finished.KEY, "damaged", (finished.KEY,))
    yield (fault := _manifest(store, sums))
    if fault and fault.lost:
        return
    about = manifest.whole(store)
    series = about.series(about.unit_list)
    for key in retries.keys(store):
        try:
            series.append(retries.begun_under(store, key, about))
        except InputError:
            yield Fault(key, "damaged", (key, finished.KEY))
    wrong: set[str] = set()  # what need not be said again for its checksum
    for one in series:
        there, graded = one.done(store), one.done(store, "cards")
        for batch in one.batches:
            for fault in (
                _pictures(store, one, batch, batch.number in there),
                _card(store, one, batch) if batch.number in graded else None,
            ):
                wrong |= {fault.key} if fault else set()
                yield fault
    for key in store.keys(PREFIX):
        if key not in sums:
            yield None if part_at(store, key) else Fault(key, "damaged", (key, finished.KEY))
    for key, sha256 in sums.items():
        if key in wrong or key == manifest.KEY:
            continue
        data = store.read(key)
        if data is None:
            yield Fault(key, "missing", (finished.KEY,))
        elif hashlib.sha256(data).hexdigest() != sha256:
            yield Fault(key, "does not match its checksum", (key, finished.KEY))
        else:
            yield None
    if store.folder and os.path.lexists(page := store.folder / "page"):
        yield from (flaw and Fault(f"page/{flaw.file}", flaw.what) for flaw in checksums.flaws(page))


def _manifest(store: Store, sums: Mapping[str, str]) -> Fault | None:
    """Holds the manifest against the finished atlas's checksum of it, and its copy against it."""
    right = lambda data: sums.get(manifest.KEY) in (None, hashlib.sha256(data).hexdigest())
    texts = {key: store.read(key) for key in (manifest.KEY, manifest.COPY)}
    read = [key for key, data in texts.items() if _readable(data)]
    best = next((key for key in read if right(texts[key])), None)
    if best == manifest.KEY:
        spoilt = texts[manifest.COPY] not in (None, texts[best])
        return Fault(manifest.COPY, "is not what it is a copy of", put={manifest.COPY: texts[best]}) if spoilt else None
    what = "missing" if texts[manifest.KEY] is None else "damaged"
    return Fault(manifest.KEY, what, put={manifest.KEY: texts[best]} if best else {}, lost=not best)


def _readable(data: bytes | None) -> bool:
    try:
        manifest.parse(data)
    except InputError:
        return False
    return True


def _pictures(store: Store, series: Series, batch: Batch, there: bool) -> Fault | None:
    record = series.record_key(batch.number)
    if not there:
        return Fault(record, "missing", (finished.KEY,))
    try:
        series.pictures(store, batch)
    except InputError as error:
        array = () if _opens(store, series) else (f"{series.array_key}/zarr.json",)
        return Fault(record, str(error).partition(";")[0], (record, *array, finished.KEY))
    return None


def _opens(store: Store, series: Series) -> bool:
    try:
        store.existing(series.array_key)
    except InputError:
        return False
    return True


def _card(store: Store, series: Series, batch: Batch) -> Fault | None:
    key = series.card_key(batch.number)
    try:
        report_cards.of_batch(store, series, batch)
    except InputError:
        return Fault(key, "damaged", (key, finished.KEY))
    return None


def report(address: str, *, repair: bool = False) -> int:
    """Prints every fault, for `vitjax atlas --verify`; gives the exit code, 1 where there is one.

    With `repair`, what is wrong is forgotten, so that the next run of the atlas makes it anew.

    Raises:
        InputError: there is no atlas, or its manifest is lost.
    """
    store, right, found = Store(address), 0, []
    if store.folder and is_export(store.folder):
        return _exported(store.folder)
    manifest.whole(store)  # a store without an atlas is said before a bar is drawn
    with Bar("verifying", 0, "piece") as bar:
        for fault in faults(store):
            bar.did(1)
            right += fault is None
            if fault:
                found.append(fault)
                bar.write(f"{fault.key}: {fault.what}")
    forget = [key for key in {key for fault in found for key in fault.forget} if store.read(key) is not None]
    put = {key: data for fault in found for key, data in fault.put.items()}
    if repair:
        for key in forget:
            store.delete(key)
        for key, data in put.items():
            store.write(key, data)
    wrong = sum(fault.what != "missing" for fault in found)
    print(f"{address}: {right} pieces right, {len(found) - wrong} missing, {wrong} wrong")
    if any(fault.lost for fault in found):
        print(f"{manifest.KEY} cannot be mended, and without it the atlas is lost: choose another --out")
    elif (forget or put) and not repair:
        print("`--verify --repair` forgets what is wrong; then the same command again")
    elif found:
        print("run the same `vitjax atlas` command again to make what is missing")
    return 1 if found else 0


def _exported(folder: Path) -> int:
    """Prints every flaw of an exported atlas; gives the exit code."""
    right, found = 0, []
    with Bar("verifying", 0, "file") as bar:
        for flaw in checksums.flaws(folder):
            bar.did(1)
            right += flaw is None
            if flaw:
                found.append(flaw)
                bar.write(f"{flaw.file}: {flaw.what}")
    print(f"{folder}: {right} files right, {len(found)} wrong")
    if found:
        print("export the atlas again, with --overwrite, or fetch it again")
    return 1 if found else 0
