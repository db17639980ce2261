"""Forecasts what a chip that is not here takes for many pictures: memory of a slot, seconds of a batch, by tap."""

import logging
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from vitjax.bench.compiled.chips import Chip
from vitjax.bench.compiled.estimate import untimed
from vitjax.bench.compiled.target import Built, built
from vitjax.models.core.execution import Execution
from vitjax.models.registry import Config, abstract
from vitjax.optimize.cost import step_flops
from vitjax.optimize.memory import PROBES, Room, slots_within, weights
from vitjax.optimize.recipes import Recipe

log = logging.getLogger("vitjax")
_BLOCK = re.compile(r"\bblocks\.\d+")


@dataclass(frozen=True)
class Forecast:
    """What pictures of a model take of a chip, by its compiler.

    Attributes:
        chip: see `vitjax.bench.compiled.chips`.
        config: of the model; its weights are not needed.
        recipe: of the pictures.
        dtype: of weights and activations.
        remat: recompute activations to save memory.
        unknown: how often kernels of which no time is told run in a step, at most, by name.
    """

    chip: Chip
    config: Config
    recipe: Recipe
    dtype: str
    remat: bool = False
    unknown: Counter[str] = field(default_factory=Counter)

    def room(self, tap: str) -> Room:
        """Memory that pictures for a tap take, from two compiles for few slots."""
        few, more = (self._built(tap, slots).whole for slots in PROBES)
        each = (more - few) / (PROBES[1] - PROBES[0])
        beside = few - PROBES[0] * each
        model = weights(abstract(self.config, self.dtype))
        return Room(slots_within(self.chip.memory - model, beside - model, each), each, beside)

    def batches(self, taps: Sequence[str], slots: int) -> dict[str, float]:
        """Seconds in the loop of a batch of `slots` pictures, for each of some taps.

        Of blocks that differ in their number alone the first and the last are compiled for; the steps of those between
        lie between theirs as their operations do.
        """
        alike: dict[str, list[str]] = {}
        for tap in taps:
            alike.setdefault(_BLOCK.sub("blocks.*", tap), []).append(tap)
        return {tap: self.recipe.steps * step for group in alike.values() for tap, step in self._steps(group, slots)}

    def said(self, operations: float) -> str:
        """A line on the time that so many operations take."""
        floor = operations / self.chip.rate(self.dtype) / 3600
        line = f"{self.chip.name}: {floor:.3g} hours at the rate of its data sheet; the loop by its compiler's estimate"
        for name, times in self.unknown.items():
            line += f", without {name} ({times} times a step), of which it tells no time"
        return line

    def _steps(self, taps: Sequence[str], slots: int) -> Iterator[tuple[str, float]]:
        operations = {tap: step_flops(self.config, tap, self.recipe) for tap in taps}
        ends = sorted({min(taps, key=operations.get), max(taps, key=operations.get)}, key=operations.get)
        seconds = {tap: self._step(tap, slots) for tap in ends}
        few, many = operations[ends[0]], operations[ends[-1]]
        for tap in taps:
            share = (operations[tap] - few) / (many - few) if many > few else 0.0
            yield tap, (1 - share) * seconds[ends[0]] + share * seconds[ends[-1]]

    def _step(self, tap: str, slots: int) -> float:
        found = self._built(tap, slots).kernels
        for name, times in untimed(found).items():
            self.unknown[name] = max(self.unknown[name], times)
        return sum(kernel.total for kernel in found)

    def _built(self, tap: str, slots: int) -> Built:
        log.info("compiling for %s: %s, %d pictures", self.chip.name, tap, slots)
        return built(self.chip, self.config, tap, self.recipe, slots, self.dtype, Execution(self.remat))
