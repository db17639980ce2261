"""Reckons how long a compiled program takes on a chip, kernel by kernel.

On TPUs by the compiler's own estimate of each kernel's cycles, of Pallas kernels by their schedules (`mosaic`). On GPUs
by the card's rates, of a kernel the longest of three: its bytes over the bandwidth, its products and its other
operations over the rates of these. Both leave out what a kernel waits for; they are good for comparing programs and for
finding what is dear.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from vitjax.bench.compiled import traffic
from vitjax.bench.compiled.chips import CUDA, TPU, Chip
from vitjax.bench.compiled.hlo import Computation, Instruction, Program

_CYCLES = re.compile(r'"estimated_cycles":"(\d+)"')


@dataclass(frozen=True)
class Kernel:
    """One kernel of a program, or what the compiler runs as one.

    Attributes:
        operation: ours that it was made for, e.g. "dot_general, backward".
        line: of our code that it comes from, e.g. "models/parts/mlp.py:52"; empty where the compiler tells none.
        custom: the name of a kernel that is not the compiler's own, as of a library or of Pallas.
        times: how often it runs.
        seconds: of one run; 0 where nothing says.
        bytes: that one run reads and writes beside the chip.
        operations: of the products in one run; on TPUs they are not counted.
    """

    operation: str
    line: str
    custom: str
    times: int
    seconds: float
    bytes: float
    operations: float

    @property
    def total(self) -> float:
        """Seconds of all its runs."""
        return self.times * self.seconds


def kernels(program: Program, chip: Chip, cycles: Mapping[str, int] = MappingProxyType({})) -> list[Kernel]:
    """Lists what a program runs on a chip, in the order in which it runs first.

    Args:
        program: compiled for the chip.
        chip: by its data sheet.
        cycles: of a run of kernels of which the text tells none, by name.
    """
    found = []
    for one, here, times in program.run():
        if one.opcode in traffic.NOTHING:
            continue
        if one.name in cycles:
            seconds, operations = cycles[one.name] / chip.hertz, 0.0
        else:
            seconds, operations = _SECONDS[chip.platform](program, one, here, chip)
        moved = traffic.moved(program, one, here)
        if seconds or moved:
            hero = _hero(program, one, here)
            found.append(
                Kernel(
                    called(hero.operation or one.opcode),
                    program.line(hero) or program.line(one),
                    one.target,
                    times,
                    seconds,
                    moved,
                    operations,
                )
            )
    return found


def called(name: str) -> str:
    """The last operation of a name that JAX gave; whether it is of the gradient, or computed again for it."""
    again = ", again" if "rematted_computation" in name else ", backward" if "transpose(" in name else ""
    return name.rpartition("/")[2] + again


def _hero(program: Program, one: Instruction, here: Computation) -> Instruction:
    """The product within a fusion, which is what takes its time; of a fusion without one the fusion."""
    inner = (other for other, _ in traffic.within(program, one, here) if other.opcode in traffic.PRODUCTS)
    found = next(inner, one)
    return found if found.operation else one


def _by_cycles(program: Program, one: Instruction, here: Computation, chip: Chip) -> tuple[float, float]:
    cycles = _CYCLES.search(one.attributes)
    return int(cycles[1]) / chip.hertz if cycles else 0.0, 0.0


def _by_rates(program: Program, one: Instruction, here: Computation, chip: Chip) -> tuple[float, float]:
    operations, dtype = traffic.products(program, one, here)
    others = traffic.elementwise(program, one, here) / chip.vector if chip.vector else 0.0
    moving = traffic.moved(program, one, here) / chip.bandwidth
    multiplying = operations / chip.rate(dtype) if chip.rate(dtype) else 0.0
    return max(moving, multiplying, others), operations


_SECONDS: dict[str, Callable[[Program, Instruction, Computation, Chip], tuple[float, float]]] = {
    TPU: _by_cycles,
    CUDA: _by_rates,
}


def untimed(found: list[Kernel]) -> Counter[str]:
    """How often kernels run of which nothing tells the time, by name: they are in no sum."""
    unknown: Counter[str] = Counter()
    for kernel in found:
        if kernel.custom and not kernel.seconds:
            unknown[kernel.custom] += kernel.times
    return unknown


def dearest(found: list[Kernel], count: int) -> Iterator[tuple[str, str, float]]:
    """The operations that take longest, all kernels of one and the same line together: (operation, line, seconds)."""
    total: dict[tuple[str, str], float] = {}
    for kernel in found:
        key = kernel.operation, kernel.line
        total[key] = total.get(key, 0.0) + kernel.total
    for (operation, line), seconds in sorted(total.items(), key=lambda item: -item[1])[:count]:
        yield operation, line, seconds
