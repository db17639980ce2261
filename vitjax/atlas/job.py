"""A plan over a store: looks at photographs, paints what is missing, and when nothing is, grades and finishes.

Hosts share the plan and the store and nothing else: each does its part, and the one that completes the last part
finishes the atlas.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from threading import Event

import jax

from vitjax.atlas import finish, manifest
from vitjax.atlas.claim import Held, claimed
from vitjax.atlas.finish import Finish, Reporter
from vitjax.atlas.manifest import Manifest
from vitjax.atlas.natural import look
from vitjax.atlas.paint import Log, paint
from vitjax.atlas.store import Store
from vitjax.data.dataset import Dataset
from vitjax.errors import Stopped
from vitjax.models.vit import ViT
from vitjax.optimize.units import Unit
from vitjax.optimize.visualize import check


class Status(Enum):
    """How a run ended."""

    FINISHED = "finished"
    WAITING = "this part is done, others are not"
    STOPPED = "stopped on request"


@dataclass(frozen=True)
class Job:
    """An atlas to be made.

    Attributes:
        model: whose units.
        units: by unit number.
        manifest: what the store must hold.
        data: photographs, or None.
        class_names: names of the model's classes, for the photographs.
        shard: (i, n), this host's part.
        retry: paint units again whose pictures fail.
        remat: recompute activations to save memory.
        report: is told how it goes.
        stepped: is told of steps taken, in pictures times steps.
        enough: once set, the batches under way are finished and the run ends.
    """

    model: ViT
    units: Sequence[Unit]
    manifest: Manifest
    data: Dataset | None = None
    class_names: Sequence[str] | None = None
    shard: tuple[int, int] = (0, 1)
    retry: bool = True
    remat: bool = False
    report: Reporter = field(default_factory=Reporter)
    stepped: Callable[[int], None] = lambda _: None
    enough: Event = field(default_factory=Event)

    def run(self, store: Store) -> Status:
        """Goes on with the atlas in a store, from wherever it is.

        Raises:
            InputError: the store holds another atlas, another process is at work on this part, or it cannot be read or
                written.
        """
        manifest.agree(store, self.manifest)
        with claimed(store, f"{self.shard[0]}-of-{self.shard[1]}"):
            if store.read(finish.KEY) is not None:
                return Status.FINISHED
            try:
                return self._run(store)
            except Stopped:
                return Status.STOPPED

    def _run(self, store: Store) -> Status:
        enough, found, log = self.enough, None, Log(self.shard, devices=jax.local_device_count())
        recipe, series = self.manifest.recipe, self.manifest.series(self.units)
        for one in series:
            check(self.model, one.recipe, one.seed)
        if self.data is not None:
            taps = list(dict.fromkeys(unit.tap for unit in self.units))
            data = replace(self.data, shard=self.shard)
            found = look(store, self.model, data, taps, self.manifest.k, recipe["tokens"], enough)
        for one in series:
            self.report.begin(f"painting, seed {one.seed}", _missing(store, one, self.shard))
            whole = paint(
                store,
                one,
                self.model,
                shard=self.shard,
                remat=self.remat,
                enough=enough,
                stepped=self.stepped,
                finished=self.report.done,
                log=log,
            )
            if not whole:
                return Status.STOPPED
        if any(len(one.done(store)) < len(one.batches) for one in series):
            return Status.WAITING
        if self.data is not None and found is None:  # the other parts may have come meanwhile
            found = look(store, self.model, data, taps, self.manifest.k, recipe["tokens"], enough)
            if found is None:
                return Status.WAITING
        ending = Finish(
            store,
            self.manifest,
            self.model,
            self.units,
            self.data,
            found,
            self.class_names,
            self.retry,
            self.remat,
            enough,
            log,
            self.report,
        )
        try:
            with claimed(store, "end"):
                done = ending.run()
        except Held:  # another host that found all parts done
            return Status.WAITING
        log.write(store)
        return Status.FINISHED if done else Status.STOPPED


def _missing(store: Store, series, shard: tuple[int, int]) -> int:
    """How many of a host's pictures are still to be painted."""
    there = series.done(store)
    return sum(len(batch.goals) for batch in series.batches[shard[0] :: shard[1]] if batch.number not in there)
