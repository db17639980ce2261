"""A store in, what is missing or wrong in it out: everything is read again and held against its checksum."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from tqdm import tqdm

from vitjax.atlas import care, finish, manifest
from vitjax.atlas.store import Store
from vitjax.errors import InputError


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
    """Checks a store piece by piece: a fault for each that is missing or wrong, None for each that is right."""
    about = manifest.read(store)
    for series in [*about.series(about.unit_list), *care.begun(store, about)]:
        there, graded = series.done(store), series.done(store, "cards")
        for batch in series.batches:
            record, card = series.record_key(batch.number), series.card_key(batch.number)
            if batch.number not in there:
                yield Fault(record, "missing")
                continue
            forget = (record, *([card] if batch.number in graded else []), finish.KEY)
            try:
                series.pictures(store, batch)
                yield None
            except InputError as error:
                yield Fault(record, str(error).partition(";")[0], forget)
    ended = store.read_json(finish.KEY)
    if ended is None:
        yield Fault(finish.KEY, "missing")
        return
    for key, sha256 in ended["sha256"].items():
        data = store.read(key)
        if data is None:
            yield Fault(key, "missing", (finish.KEY,))
        elif hashlib.sha256(data).hexdigest() != sha256:
            yield Fault(key, "does not match its checksum", (finish.KEY,))
        else:
            yield None


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
