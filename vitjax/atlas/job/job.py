"""Says what an atlas is to be of and how it is made, and what one run of making it has at hand."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import jax

from vitjax.analysis.scores.encoders import Encoder
from vitjax.atlas.job.progress import Reporter
from vitjax.atlas.records.log import Log
from vitjax.atlas.records.manifest import Manifest, recipe_of
from vitjax.atlas.store.store import Store
from vitjax.data.dataset import Dataset
from vitjax.errors import InputError
from vitjax.models.core.execution import PLAIN, Execution
from vitjax.models.core.network import Network
from vitjax.optimize.recipes import Recipe
from vitjax.optimize.visualize import resolve
from vitjax.progress import Meter
from vitjax.stop import Stop
from vitjax.units.units import Unit, sample


@dataclass(frozen=True)
class Job:
    """An atlas to be made, and this host's part of it.

    Attributes:
        model: whose units; it measures.
        units: by unit number, see `chosen`.
        manifest: what the store must hold: all that decides which pictures there will be.
        data: photographs, or None.
        shard: (i, n), this host's part.
        retry: paint units again whose pictures fail.
        execution: how the model runs while it paints.
        painter: the model in the dtype in which pictures are painted, where that is another.
        encoder: by whose embeddings units are scored, see `vitjax.analysis.scores`; None for no scores.
    """

    model: Network
    units: Sequence[Unit]
    manifest: Manifest
    data: Dataset | None = None
    shard: tuple[int, int] = (0, 1)
    retry: bool = True
    execution: Execution = PLAIN
    painter: Network | None = None
    encoder: Encoder | None = None

    @property
    def painting(self) -> Network:
        """The model that paints."""
        return self.model if self.painter is None else self.painter

    @property
    def recipe(self) -> Recipe:
        """How the first pictures are made."""
        return recipe_of(self.manifest.recipe)


@dataclass(frozen=True)
class Run:
    """One run of a job on one host: what all its stages need.

    Attributes:
        job: what is made.
        store: where.
        log: what this run did.
        report: is told how it goes.
        stop: whether it is to end early.
    """

    job: Job
    store: Store
    log: Log
    report: Reporter = field(default_factory=Reporter)
    stop: Stop = field(default_factory=Stop)

    def begin(self, stage: str, pictures: int = 0, meter: Meter | None = None) -> None:
        """Begins a stage of so many pictures, of painting with its meter: the log times it, the reporter is told."""
        self.log.stage(stage)
        self.report.begin(stage, pictures, meter)


def chosen(model: Network, sets: Sequence[str] | None, count: int | None) -> list[Unit]:
    """Lists the units of an atlas in the order of the model's taps, then of the index.

    Args:
        model: whose.
        sets: unit sets; all neurons unless said.
        count: how many of them are drawn at random; all unless said.

    Raises:
        InputError: there are no such units, or goals that are none.
    """
    units = resolve(model, sets or f"{model.neurons}:*")
    if other := [goal for goal in units if not isinstance(goal, Unit)]:
        raise InputError(f"{other[0]}: an atlas is of units alone; vitjax visualize makes pictures of other goals")
    units = sample(units, count, 0) if count else units
    order = {tap: i for i, tap in enumerate(model.taps())}
    return sorted(units, key=lambda unit: (order[unit.tap], unit.index))


def even(units: Sequence[Unit], most: int) -> int:
    """Counts the slots, `most` or fewer, with which the units of the largest tap fall into equal batches."""
    largest = max(Counter(unit.tap for unit in units).values())
    return -(-largest // -(-largest // most))


def this_host() -> tuple[int, int]:
    """Gives this host's part under `jax.distributed`, (0, 1) for a host alone."""
    return jax.process_index(), jax.process_count()
