"""Base classes of models with stages of blocks, as Swin and convolutional networks are: `Stage` and `Hierarchical`."""

from collections.abc import Sequence
from typing import Any

import jax
from flax import nnx

from vitjax.models.core.execution import Execution
from vitjax.models.core.network import Network, Rows
from vitjax.models.core.stack import Stack
from vitjax.models.core.tap_site import NOWHERE, Places
from vitjax.models.core.taps import Taps


class Staged:
    """Blocks at one resolution: a transition into it, the blocks, and what comes after them.

    Attributes:
        places: that its tokens stand on.
    """

    places: Places = NOWHERE

    def stack(self) -> Stack:
        """The blocks."""
        raise NotImplementedError

    def enter(self, x: Any, taps: Taps) -> Any:
        """What the first block reads of what the stage before it, or the stem, gives."""
        return x

    def leave(self, x: Any, taps: Taps) -> Any:
        """What the stage gives, from what its last block gives."""
        return x

    def through(self, x: Any, taps: Taps, execution: Execution) -> Any:
        """Runs as much of the stage as the reads need."""
        taps = taps.at(self.places)
        x = self.stack()(self.enter(x, taps), taps, execution)
        return x if taps.done else self.leave(x, taps)


class Stage(nnx.Module, Staged):
    """A stage as a module of its own."""


class Hierarchical(Network):
    """A model of a stem, stages, and what is read of the last one.

    A kind of model has `staged`, and says with `begin` and `end` what comes before and after the stages.
    """

    @property
    def staged(self) -> Sequence[tuple[str, Staged]]:
        """The stages, each with the name that its taps and parameters go by; "" if they have none before theirs."""
        return [(f"stages.{i}", stage) for i, stage in enumerate(self.stages)]

    @property
    def rows(self) -> dict[str, Rows]:
        """Where the parameters of its blocks are; see `Network.rows`."""
        found = {}
        for name, stage in self.staged:
            scope = f"{name}." if name else ""
            found[f"{scope}blocks"] = [(scope + held, row) for held, row in stage.stack().rows]
        return found

    def begin(self, x: Any, taps: Taps) -> Any:
        """What the first stage reads of what `embed` gives."""
        return x

    def end(self, x: jax.Array, taps: Taps) -> None:
        """Norm, pooling and head, through taps."""
        raise NotImplementedError

    def _run(self, x: Any, taps: Taps, execution: Execution) -> None:
        x = self.begin(x, taps)
        for name, stage in self.staged:
            if taps.done:
                return
            x = stage.through(x, taps.scope(name) if name else taps, execution)
        if not taps.done:
            self.end(x, taps)
