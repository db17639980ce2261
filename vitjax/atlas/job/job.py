"""An atlas that is to be made: what of, how, this host's part, and who is told how it goes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Event

from vitjax.atlas.store.manifest import Manifest
from vitjax.data.dataset import Dataset
from vitjax.models.core.network import Network
from vitjax.units.units import Unit


@dataclass(frozen=True)
class Reporter:
    """Who is told how a job goes: the name of a stage and its size, then what was done of it."""

    begin: Callable[[str, int], None] = lambda stage, total: None
    done: Callable[[int], None] = lambda more: None


@dataclass(frozen=True)
class Job:
    """An atlas to be made.

    Attributes:
        model: whose units.
        units: by unit number.
        manifest: what the store must hold.
        data: photographs, or None.
        shard: (i, n), this host's part.
        retry: paint units again whose pictures fail.
        remat: recompute activations to save memory.
        report: is told how it goes.
        stepped: is told of steps taken, in pictures times steps.
        enough: once set, the batches under way are finished and the run ends.
    """

    model: Network
    units: Sequence[Unit]
    manifest: Manifest
    data: Dataset | None = None
    shard: tuple[int, int] = (0, 1)
    retry: bool = True
    remat: bool = False
    report: Reporter = field(default_factory=Reporter)
    stepped: Callable[[int], None] = lambda _: None
    enough: Event = field(default_factory=Event)
