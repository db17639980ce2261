"""A small atlas job that tests start here or in another process: `python -m tests.support.atlas_job STORE …`."""

import argparse
import os
import signal
import sys

import jax

from tests.support import noise, small
from vitjax.atlas.job.job import Job, Reporter
from vitjax.atlas.job.run import AGAIN, stopped_by_signals
from vitjax.atlas.job.work import Status, work
from vitjax.atlas.store import manifest, series
from vitjax.atlas.store.store import Store
from vitjax.errors import InputError
from vitjax.optimize.recipes import choose
from vitjax.units.units import expand

RECIPE = choose("default", steps=4, views=2)
UNITS = "blocks.1-2.mlp.hidden:0-4"
SLOTS = 2
PLAIN = "--plain"  # without photographs


def job(photographs: bool = True, **changes) -> Job:
    """Ten units of two taps, in batches of two: three batches a tap."""
    model, recipe = small.model(), changes.pop("recipe", RECIPE)
    units = expand(changes.pop("units", UNITS), model.taps())
    data = noise.dataset(12, 4) if photographs else None
    seeds = changes.pop("seeds", (0,))
    about = manifest.manifest(model, units, recipe, seeds, changes.pop("slots", SLOTS), data, 3)
    return Job(model, units, about, data, **changes)


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
    parser.add_argument("--slow", action="store_true", help="say each finished batch, then wait for a line on stdin")
    parser.add_argument(PLAIN, action="store_true")
    args = parser.parse_args()
    if args.die:
        die_after(args.die[0], int(args.die[1]))
    shard = tuple(args.shard)
    if args.coordinator:
        jax.distributed.initialize(args.coordinator, num_processes=shard[1], process_id=shard[0])
        shard = jax.process_index(), jax.process_count()

    def done(_: int) -> None:
        if args.slow:
            print("batch", flush=True)
            sys.stdin.readline()

    with stopped_by_signals() as enough:
        report = Reporter(done=done)
        try:
            status = work(job(not args.plain, shard=shard, enough=enough, report=report), Store(args.store))
        except InputError as error:
            print(error)
            return 2
    print(status.name, flush=True)
    return AGAIN if status is Status.STOPPED else 0


if __name__ == "__main__":
    sys.exit(main())
