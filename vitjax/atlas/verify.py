"""A store in, what is missing or wrong in it out: everything is read again and held against its checksum."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from zipfile import BadZipFile

from tqdm import tqdm

from vitjax.analysis.natural import part_of
from vitjax.atlas import cards, care, finish, manifest
from vitjax.atlas.natural import PREFIX
from vitjax.atlas.series import Series
from vitjax.atlas.store import Store
from vitjax.errors import InputError
from vitjax.optimize.workers import Batch


@dataclass(frozen=True)
class Fault:
    """Something missing or wrong.

    Attributes:
        key: what, in the store.
        what: "missing" or what is wrong, in a few words.
        forget: keys to remove, so that the next run makes it anew.
    """

    key: str
    what: str
    forget: tuple[str, ...] = ()


def faults(store: Store) -> Iterator[Fault | None]:
    """Checks a store piece by piece: a fault for each that is missing or wrong, None for each that is right.

    Pictures are held against their records; everything else, once the atlas is finished, against its end's checksums.
    """
    about = manifest.read(store)
    sums, series = {}, about.series(about.unit_list)
    try:
        end = finish.ended(store)
        yield None if end else Fault(finish.KEY, "missing")
        sums = end["sha256"] if end else {}
    except InputError:
        yield Fault(finish.KEY, "damaged", (finish.KEY,))
    for key in care.keys(store):
        try:
            series.append(care.begun_under(store, key, about))
        except InputError:
            yield Fault(key, "damaged", (key, finish.KEY))
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
            yield _part(store, key)
    for key, sha256 in sums.items():
        if key in wrong:
            continue
        data = store.read(key)
        if data is None:
            yield Fault(key, "missing", (finish.KEY,))
        elif hashlib.sha256(data).hexdigest() != sha256:
            yield Fault(key, "does not match its checksum", () if key == manifest.KEY else (key, finish.KEY))
        else:
            yield None


def _pictures(store: Store, series: Series, batch: Batch, there: bool) -> Fault | None:
    record = series.record_key(batch.number)
    if not there:
        return Fault(record, "missing", (finish.KEY,))
    try:
        series.pictures(store, batch)
    except InputError as error:
        array = () if _opens(store, series) else (f"{series.array_key}/zarr.json",)
        return Fault(record, str(error).partition(";")[0], (record, *array, finish.KEY))
    return None


def _part(store: Store, key: str) -> Fault | None:
    try:
        part_of(store.read(key))
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return Fault(key, "damaged", (key, finish.KEY))
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
        cards.of_batch(store, series, batch)
    except InputError:
        return Fault(key, "damaged", (key, finish.KEY))
    return None


def report(address: str, *, repair: bool = False) -> int:
    """`vitjax atlas --verify`: prints every fault; gives the exit code, 1 where there is one.

    With `repair`, what is wrong is forgotten, so that the next run of the atlas makes it anew.
    """
    store, right, found = Store(address), 0, []
    manifest.read(store)  # a store without an atlas is said before a bar is drawn
    with tqdm(desc="verifying", unit="piece", dynamic_ncols=True) as bar:
        for fault in faults(store):
            bar.update()
            right += fault is None
            if fault:
                found.append(fault)
                bar.write(f"{fault.key}: {fault.what}")
    for key in {key for fault in found for key in fault.forget} if repair else ():
        store.delete(key)
    wrong = sum(fault.what != "missing" for fault in found)
    print(f"{address}: {right} pieces right, {len(found) - wrong} missing, {wrong} wrong")
    if found:
        again = "run the same `vitjax atlas` command again to make what is missing"
        print(
            again if repair or not wrong else "`--verify --repair` forgets what is wrong; then the same command again"
        )
    return 1 if found else 0
