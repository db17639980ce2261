"""Forecasts what a chip that is not here takes for many pictures: memory of a slot, seconds of a batch, by tap."""

import logging
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from vitjax.bench.compiled.chips import Chip
from vitjax.bench.compiled.estimate import untimed
from vitjax.bench.compiled.target import Built, built
from vitjax.models.core.execution import PLAIN, Execution
from vitjax.models.core.vocabulary import host
from vitjax.models.registry import Config, abstract
from vitjax.optimize.cost import dearest_stage, step_flops
from vitjax.optimize.memory import PROBES, Room, slots_within, useful_slots, weights
from vitjax.optimize.objectives import UnitActivation
from vitjax.optimize.recipes import Recipe
from vitjax.optimize.schedule.plan import Leg, plan

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
        execution: how the model runs.
        unknown: how often kernels of which no time is told run in a step, at most, by name.
    """

    chip: Chip
    config: Config
    recipe: Recipe
    dtype: str
    execution: Execution = PLAIN
    unknown: Counter[str] = field(default_factory=Counter)

    def room(self, tap: str) -> Room:
        """Memory that pictures for a tap take, from two compiles for few slots of the stage that takes most."""
        leg = dearest_stage(self.config, tap, self.recipe)
        few, more = (self._built(leg, tap, slots).whole for slots in PROBES)
        each = (more - few) / (PROBES[1] - PROBES[0])
        beside = few - PROBES[0] * each
        if not self.chip.memory:  # unknown
            return Room(self.useful(), each, beside)
        model = weights(abstract(self.config, self.dtype))
        fixed = max(0.0, beside - model)  # of weights that no tap before the last reads, a program holds none
        return Room(slots_within(self.chip.memory - model, fixed, each), each, beside)

    def useful(self) -> int:
        """Slots of which more make the chip no faster."""
        return useful_slots(abstract(self.config, self.dtype), self.recipe, self.chip.platform)

    def batches(self, taps: Sequence[str], slots: int) -> dict[str, float]:
        """Seconds in the loop of a batch of `slots` pictures, for each of some taps.

        Of blocks that differ in their number alone the first and the last are compiled for; the steps of those between
        lie between theirs as their operations do.
        """
        found = dict.fromkeys(taps, 0.0)
        alike: dict[tuple[str, Leg], dict[str, Leg]] = {}  # stages that differ in block and number of steps alone
        for tap in taps:
            for leg in plan(self.recipe, self.config, UnitActivation(tap)):
                key = _BLOCK.sub("blocks.*", tap), replace(leg, recipe=replace(leg.recipe, steps=1))
                alike.setdefault(key, {})[tap] = leg
        for group in alike.values():
            for tap, seconds in self._steps(group, slots):
                found[tap] += group[tap].recipe.steps * seconds
        return found

    def said(self, operations: float) -> str:
        """A line on the time that so many operations take."""
        rate = self.chip.rate(self.dtype)
        floor = f"{operations / rate / 3600:.3g} hours at the rate of its data sheet; " if rate else ""
        line = f"{self.chip.name}, {self.chip.said}: {floor}the loop by its compiler's estimate"
        for name, times in self.unknown.items():
            line += f", without {name} ({times} times a step), of which it tells no time"
        return line

    def _steps(self, group: Mapping[str, Leg], slots: int) -> Iterator[tuple[str, float]]:
        """Seconds of a step of each tap of a group."""
        operations = {tap: step_flops(leg.config, tap, leg.recipe) for tap, leg in group.items()}
        first, last = (pick(operations, key=operations.get) for pick in (min, max))
        seconds = {tap: self._step(group[tap], tap, slots) for tap in dict.fromkeys((first, last))}
        span = operations[last] - operations[first]
        for tap in group:
            share = (operations[tap] - operations[first]) / span if span else 0.0
            yield tap, (1 - share) * seconds[first] + share * seconds[last]

    def _step(self, leg: Leg, tap: str, slots: int) -> float:
        found = self._built(leg, tap, slots).kernels
        for name, times in untimed(found).items():
            self.unknown[name] = max(self.unknown[name], times)
        return sum(kernel.total for kernel in found)

    def _built(self, leg: Leg, tap: str, slots: int) -> Built:
        log.info("compiling for %s: %s, %d pictures", self.chip.name, tap, slots)
        return built(self.chip, leg.config, host(tap), leg.recipe, slots, self.dtype, self.execution)
