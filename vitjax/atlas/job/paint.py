"""A series and a store in, the missing pictures painted and stored: hosts share what is not there yet."""

import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from threading import Event

from vitjax.atlas.store.manifest import made
from vitjax.atlas.store.series import Series
from vitjax.atlas.store.store import Store
from vitjax.errors import InputError
from vitjax.models.core.network import Network
from vitjax.optimize.workers import Starts, Task, run


@dataclass
class Log:
    """What a run did, kept in the store while it works: `logs/TIME-SHARD.json`.

    Attributes:
        shard: its part of the work.
        started: when, as UTC text; it names the log.
        wall: seconds since.
        looping: seconds of all devices in the compiled steps.
        devices: how many there are.
        pictures: finished.
        stages: seconds by stage.
    """

    shard: tuple[int, int]
    started: str = field(default_factory=lambda: time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()))
    wall: float = 0.0
    looping: float = 0.0
    devices: int = 0
    pictures: int = 0
    stages: dict[str, float] = field(default_factory=dict)
    clock: float = field(default_factory=time.perf_counter)
    at: str = "photographs"

    def stage(self, name: str) -> None:
        """A stage begins, the one before it ends."""
        self._count()
        self.at = name

    def write(self, store: Store) -> None:
        """Puts the log into the store."""
        self._count()
        values = {name: value for name, value in vars(self).items() if name not in ("clock", "at")}
        store.write_json(f"logs/{self.started}-{self.shard[0]}-of-{self.shard[1]}.json", values)

    def _count(self) -> None:
        passed = time.perf_counter() - self.clock - self.wall
        self.wall += passed
        self.stages[self.at] = self.stages.get(self.at, 0) + passed


@dataclass(frozen=True)
class Totals:
    """All runs of an atlas together.

    Attributes:
        pictures: painted.
        device_hours: devices times hours, all stages included.
        outside: the share of them that was not spent in the compiled loop.
        stages: seconds by stage, of all hosts.
    """

    pictures: int
    device_hours: float
    outside: float
    stages: dict[str, float]


@dataclass(frozen=True)
class _Logged:
    """What is added up of a run's log."""

    wall: float
    looping: float
    devices: int
    pictures: int
    stages: dict[str, float] = field(default_factory=dict)


def totals(store: Store) -> Totals:
    """What the logs of a store add up to; of a run that was killed, up to its last batch."""
    logs = []
    for key in store.keys("logs/"):
        with suppress(InputError):  # a damaged log is no reason to lose an atlas
            logs.append(store.read_json(key, _Logged))
    seconds = sum(log.wall * log.devices for log in logs)
    looping = sum(log.looping for log in logs)
    stages: Counter[str] = Counter()
    for log in logs:
        stages.update(log.stages)
    pictures, outside = sum(log.pictures for log in logs), 1 - looping / seconds if seconds else 0.0
    return Totals(pictures, seconds / 3600, outside, dict(stages))


def paint(
    store: Store,
    series: Series,
    model: Network,
    *,
    shard: tuple[int, int] = (0, 1),
    remat: bool = False,
    starts: Starts | None = None,
    enough: Event | None = None,
    stepped: Callable[[int], None] = lambda _: None,
    finished: Callable[[int], None] = lambda _: None,
    log: Log | None = None,
) -> bool:
    """Paints what this host has to of a series and the store does not have.

    Args:
        store, series, model: what, of what, and where to.
        shard: (i, n): every n-th batch from the i-th on is this host's.
        remat: recompute activations to save memory.
        starts: pictures to begin with, by units.
        enough: once set, batches under way are finished and no other is begun.
        stepped: told of steps taken, in pictures times steps.
        finished: told of pictures that are in the store.
        log: what was done is added there.

    Returns:
        Whether all of this host's batches are done.
    """
    there, mine = series.done(store), series.batches[shard[0] :: shard[1]]
    missing = [batch for batch in mine if batch.number not in there]
    if not missing:
        return True
    array, log, versions = series.array(store), log or Log(shard), made()
    task, left = Task(model, series.recipe, series.seed, remat=remat, starts=starts), len(missing)
    with closing(run(task, missing, stepped=stepped, enough=enough)) as running:  # no worker outlives an error here
        for painted in running:
            series.write(store, array, painted, versions)
            left -= 1
            log.looping += painted.looping
            log.pictures += len(painted.pictures)
            log.write(store)
            finished(len(painted.pictures))
    return not left
