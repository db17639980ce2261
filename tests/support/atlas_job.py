"""A small atlas job that tests start, in their process or in another: `python -m tests.support.atlas_job STORE …`."""

import argparse
import functools
import hashlib
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Semaphore

import jax

from tests.support import noise, small
from tests.support.plain import PLAIN
from vitjax.atlas.job.job import Job
from vitjax.atlas.job.progress import Reporter
from vitjax.atlas.job.work import Status, work
from vitjax.atlas.records import manifest, retries, series
from vitjax.atlas.store.store import Store
from vitjax.errors import AGAIN, InputError
from vitjax.models.vit import ViT
from vitjax.optimize import workers
from vitjax.optimize.recipes import choose
from vitjax.stop import stopped_by_signals
from vitjax.units.units import expand

RECIPE = choose("default", steps=4, **PLAIN)
UNITS = "blocks.0-1.mlp.hidden:0-4"
SLOTS = 2
HOUR = 3600  # seconds
PLAIN = "--plain"  # without photographs


@functools.cache
def model() -> ViT:
    """A random ViT of 4 blocks at 32 pixels, with a class token and 2 registers, which costs no compilation."""
    return noise.model(small.CONFIG)


def job(photographs: bool = True, **changes) -> Job:
    """Ten units of two taps, in batches of two: three batches a tap."""
    recipe = changes.pop("recipe", RECIPE)
    units = expand(changes.pop("units", UNITS), model().taps())
    data = noise.dataset(12, 4) if photographs else None
    seeds = changes.pop("seeds", (0,))
    about = manifest.manifest(model(), units, recipe, seeds, changes.pop("slots", SLOTS), data, 3)
    return Job(model(), units, about, data, **changes)


def pictures(store: Store) -> dict[str, str]:
    """The checksums of all batches' pictures, as they are in the store now."""
    about = manifest.read(store)
    found = {}
    for one in [*about.series(about.unit_list), *retries.begun(store, about)]:
        for batch in one.batches:
            images, _ = one.pictures(store, batch)
            found[f"{one.key} {batch.number}"] = hashlib.sha256(images.tobytes()).hexdigest()
    return found


def ended(process: subprocess.Popen) -> tuple[int, str]:
    """The exit code and the last line of a job in a process of its own, however long it takes."""
    out = process.communicate()[0]
    return process.returncode, out.strip().rpartition("\n")[2]


def copy_of(store: Store, folder: Path) -> Store:
    """A copy of a store, to be damaged."""
    for key in store.keys(""):
        (folder / key).parent.mkdir(parents=True, exist_ok=True)
        (folder / key).write_bytes(store.read(key))
    return Store(str(folder))


def flip(path: Path, place: int) -> None:
    """Flips a bit of a file."""
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def flips(data: bytes, count: int, seed: int = 0) -> Iterator[bytes]:
    """The data with one bit flipped, `count` times elsewhere."""
    rng = random.Random(seed)
    for _ in range(count):
        place, bit = rng.randrange(len(data)), rng.randrange(8)
        yield data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]


def die_after(what: str, times: int) -> None:
    """Has this process killed, as by `kill -9`, when `what` was done so many times."""
    owner, name = {
        "pictures": (series.PictureArray, "write"),  # the pictures are there, their record is not
        "record": (Store, "write_json"),  # records and logs take turns
        "card": (Store, "write_json"),
    }[what]
    original, count = getattr(owner, name), 0

    def counted(*args, **options):
        nonlocal count
        original(*args, **options)
        count += what != "card" or args[1].startswith("cards/")
        if count == times:
            os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, name, counted)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("store")
    parser.add_argument("--die", nargs=2, metavar=("WHAT", "TIMES"))
    parser.add_argument("--shard", type=int, nargs=2, default=(0, 1))
    parser.add_argument("--coordinator", help="with --shard: initialise jax.distributed over gloo")
    parser.add_argument("--slow", action="store_true", help="say each finished batch; a line on stdin begins another")
    parser.add_argument(PLAIN, action="store_true")
    args = parser.parse_args()
    if args.die:
        die_after(args.die[0], int(args.die[1]))
    shard = tuple(args.shard)
    if args.coordinator:
        patient = dict.fromkeys(
            ("initialization_timeout", "heartbeat_timeout_seconds", "shutdown_timeout_seconds"), 3600
        )
        jax.distributed.initialize(args.coordinator, num_processes=shard[1], process_id=shard[0], **patient)
        shard = jax.process_index(), jax.process_count()

    turn, take = Semaphore(1), workers._Plan.take
    if args.slow:  # a worker that is ahead would have painted all, however slow who writes is
        workers._Plan.take = lambda *given: turn.acquire() and take(*given)

    class Slow(Reporter):
        def done(self, pictures: int) -> None:
            print("batch", flush=True)
            sys.stdin.readline()
            turn.release()

    with stopped_by_signals() as stop:
        report = Slow() if args.slow else Reporter()
        try:
            status = work(job(not args.plain, shard=shard), Store(args.store), report, stop)
        except InputError as error:
            print(error)
            return 2
    print(status.name, flush=True)
    return AGAIN if status is Status.STOPPED else 0


if __name__ == "__main__":
    sys.exit(main())
