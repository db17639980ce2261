"""Says what the loop takes of a device: how many slots fit, and how long a batch of them is at work."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import jax

from vitjax.models.core.execution import PLAIN, Execution
from vitjax.models.core.network import Network
from vitjax.optimize import memory
from vitjax.optimize.memory import Room
from vitjax.optimize.recipes import Recipe
from vitjax.optimize.visualize import SLOTS


class Device(Protocol):
    """What an atlas is planned for."""

    def room(self, tap: str) -> Room:
        """The memory that pictures for a tap take."""

    def useful(self) -> int:
        """Slots of which more make it no faster."""

    def batches(self, taps: Sequence[str], slots: int) -> dict[str, float]:
        """Seconds in the loop of a batch of `slots` pictures, for each of some taps; empty where nothing tells them."""

    def said(self, operations: float) -> str:
        """A line on the time that so many operations take."""


@dataclass(frozen=True)
class Here:
    """The devices of this machine, on which nothing is painted: its compiler tells the memory, nothing the time.

    Attributes:
        model: whose units; shapes in place of its arrays do.
        recipe: of the pictures.
        rate: operations a second of a plain matrix product, of all devices together.
        execution: how the model runs.
    """

    model: Network
    recipe: Recipe
    rate: float
    execution: Execution = PLAIN

    def room(self, tap: str) -> Room:
        """See `Device`; where a device does not tell its memory, as many slots fit as are taken there."""
        fixed, each = memory.need(self.model, tap, self.recipe, execution=self.execution)
        stats = jax.local_devices()[0].memory_stats() or {}
        free = stats.get("bytes_limit", 0) - stats.get("bytes_in_use", 0)
        most = memory.slots_within(free, fixed, each) if free else SLOTS["cpu"]
        return Room(most, each, fixed + memory.weights(self.model))

    def useful(self) -> int:
        """See `Device`."""
        return memory.useful_slots(self.model, self.recipe, jax.default_backend())

    def batches(self, taps: Sequence[str], slots: int) -> dict[str, float]:
        """See `Device`."""
        return {}

    def said(self, operations: float) -> str:
        """See `Device`."""
        count, kind = jax.local_device_count(), jax.local_devices()[0].device_kind
        return (
            f"here: {operations / self.rate / 3600:.3g} hours at least, at the rate of matrix products that"
            f" {count} x {kind} make now, {self.rate / 1e12:.3g} TFLOP/s (`vitjax bench` times the loop itself)"
        )
