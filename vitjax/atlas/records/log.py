"""Keeps a log of each run in the store, and adds up what all runs of an atlas took."""

import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field

from vitjax.atlas.store.store import Store
from vitjax.errors import InputError

PREFIX = "logs/"


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
        """Ends the stage before, and begins another."""
        self._count()
        self.at = name

    def write(self, store: Store) -> None:
        """Puts the log into the store."""
        self._count()
        values = {name: value for name, value in vars(self).items() if name not in ("clock", "at")}
        store.write_json(f"{PREFIX}{self.started}-{self.shard[0]}-of-{self.shard[1]}.json", values)

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
    """Adds up the logs of a store; of a run that was killed, up to its last batch."""
    logs = []
    for key in store.keys(PREFIX):
        with suppress(InputError):  # a damaged log is no reason to lose an atlas
            logs.append(store.read_json(key, _Logged))
    seconds = sum(log.wall * log.devices for log in logs)
    looping = sum(log.looping for log in logs)
    stages: Counter[str] = Counter()
    for log in logs:
        stages.update(log.stages)
    pictures, outside = sum(log.pictures for log in logs), 1 - looping / seconds if seconds else 0.0
    return Totals(pictures, seconds / 3600, outside, dict(stages))
