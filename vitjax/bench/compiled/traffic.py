"""Counts what a compiled instruction moves and computes, from the text of the program.

Bytes are those of the memory beside the chip: what is read, what is written. Of an array that is only cut from, the cut
counts; of one that is written into, what is written. What stays in a TPU's on-chip memory does not count.
"""

import json
import re
from collections.abc import Callable, Iterator
from math import prod

from vitjax.bench.compiled.hlo import Array, Computation, Instruction, Program

NOTHING = frozenset(  # opcodes that run nothing
    "parameter constant tuple get-tuple-element bitcast after-all opt-barrier partition-id replica-id copy-done"
    " slice-done dynamic-slice-done dynamic-update-slice-done async-done async-update".split()
)
SILENT = frozenset(("AllocateBuffer", "ConcatBitcast"))  # custom calls that run nothing
CUTS = frozenset("slice dynamic-slice gather".split())
SEEN_THROUGH = frozenset("bitcast reshape".split())
PRODUCTS = frozenset("dot convolution".split())
# Operations of the vector unit for each element, where they are more than one, and what makes none.
STEPS = dict.fromkeys("exponential exponential-minus-one log log-plus-one divide rsqrt sqrt power tanh".split(), 10)
STEPS |= dict.fromkeys("erf cosine sine tan".split(), 25)
STEPS |= dict.fromkeys((*NOTHING, *PRODUCTS, *CUTS), 0)
STEPS |= dict.fromkeys("broadcast iota reshape transpose concatenate copy pad fusion custom-call".split(), 0)
STEPS |= dict.fromkeys("dynamic-update-slice scatter".split(), 0)


def moved(program: Program, one: Instruction, here: Computation) -> float:
    """Bytes that an instruction of the computation `here` reads and writes."""
    if one.target in SILENT:
        return 0.0
    if one.opcode == "copy-start":  # gives where to, where from
        return sum(_outside(array) for array in one.gives[:2])
    if one.opcode == "slice-start":
        return one.gives[1].bytes
    if one.opcode == "dynamic-update-slice":
        return 2 * _outside(here[one.operands[1]].gives[0])
    if one.opcode in CUTS:
        return 2 * _outside(one.gives[0])
    if one.opcode in ("dynamic-slice-start", "dynamic-update-slice-start"):
        return min(map(_outside, one.gives))
    inner = program.computations.get(one.calls("calls") or "") if one.opcode == "fusion" else None
    total = 0.0
    for name in dict.fromkeys(one.operands):
        if inner is None:
            total += sum(map(_outside, here[name].gives))
        elif not here[name].gives[0].on_chip:
            places = [place for place, operand in enumerate(one.operands) if operand == name]
            read = sum(_read(program, inner, _parameter(inner, place)) for place in places)
            total += min(read, here[name].gives[0].bytes)
    if inner is None:
        return total + sum(map(_outside, one.gives))
    written = zip(one.gives, _written(program, inner), strict=False)
    return total + sum(0.0 if array.on_chip else min(size, array.bytes) for array, size in written)


def _outside(array: Array) -> float:
    return 0.0 if array.on_chip else array.bytes


def _parameter(inner: Computation, number: int) -> Instruction:
    return next(one for one in inner.values() if one.opcode == "parameter" and one.said == str(number))


def _read(program: Program, inner: Computation, value: Instruction) -> float:
    """Bytes of a fusion's value that the operations within read."""
    whole, total, roots = value.gives[0].bytes, 0.0, {root.name for root in _roots(inner)}
    for user in inner.values():
        if value.name not in user.operands:
            continue
        if user.opcode in CUTS and user.operands[0] == value.name:
            total += user.gives[0].bytes
        elif user.opcode in SEEN_THROUGH:
            total += _read(program, inner, user)
        elif user.opcode == "dynamic-update-slice" and user.operands[0] == value.name and user.name in roots:
            continue
        elif user.opcode == "fusion":
            nested = program.computations[user.calls("calls")]
            places = [place for place, operand in enumerate(user.operands) if operand == value.name]
            total += sum(_read(program, nested, _parameter(nested, place)) for place in places)
        elif user.opcode != "tuple":
            return whole
    return min(total, whole)


def _roots(inner: Computation) -> list[Instruction]:
    """What a fusion gives, each traced back to where it is made."""
    last = next(one for one in inner.values() if one.root)
    made = [inner[name] for name in last.operands] if last.opcode == "tuple" else [last]
    for place, one in enumerate(made):
        while one.opcode in SEEN_THROUGH:
            one = inner[one.operands[0]]
        made[place] = one
    return made


def _written(program: Program, inner: Computation) -> list[float]:
    """Bytes that a fusion writes of each of its results."""
    found: list[float] = []
    for root in _roots(inner):
        if root.opcode == "dynamic-update-slice":
            found.append(inner[root.operands[1]].gives[0].bytes)
        elif root.opcode == "fusion":
            found += _written(program, program.computations[root.calls("calls")])
        else:
            found.append(root.gives[0].bytes)
    return found


def within(program: Program, one: Instruction, here: Computation) -> Iterator[tuple[Instruction, Computation]]:
    """The instruction, or all those of a fusion and of the fusions in it, each with its computation."""
    if one.opcode != "fusion":
        yield one, here
        return
    inner = program.computations[one.calls("calls")]
    for other in inner.values():
        yield from within(program, other, inner)


def products(program: Program, one: Instruction, here: Computation) -> tuple[float, str]:
    """Operations of the matrix products in an instruction of `here`, and the type of what is multiplied."""
    total, dtype = 0.0, ""
    for inner, around in within(program, one, here):
        if count := _COUNTS.get(inner.opcode):
            total += count(inner, around)
            dtype = around[inner.operands[0]].gives[0].dtype
    return total, dtype


def elementwise(program: Program, one: Instruction, here: Computation) -> float:
    """Operations in an instruction of `here` that are no products: about, by element."""
    total = 0.0
    for inner, around in within(program, one, here):
        reduced = inner.opcode in ("reduce", "reduce-window")
        size = around[inner.operands[0]].gives[0].size if reduced else sum(array.size for array in inner.gives)
        total += STEPS.get(inner.opcode, 1) * size
    return total


def _dot(one: Instruction, here: Computation) -> float:
    shape = here[one.operands[0]].gives[0].shape
    return 2 * one.gives[0].size * prod(shape[axis] for axis in one.numbers("lhs_contracting_dims"))


def _convolution(one: Instruction, here: Computation) -> float:
    labels = re.search(r"dim_labels=\w+_(\w+)->", one.attributes)[1]
    kernel = here[one.operands[1]].gives[0]
    dilated = re.search(r"lhs_dilate=([\dx]+)", one.attributes)
    zeros = prod(map(int, dilated[1].split("x"))) if dilated else 1
    return 2 * one.gives[0].size * kernel.size / kernel.shape[labels.index("o")] / zeros


def _custom(one: Instruction, here: Computation) -> float:
    """Of the kernels of NVIDIA's libraries, by their shapes; 0 of all others."""
    if one.target.startswith("__cublas$"):
        found = re.search(r'"lhs_contracting_dimensions":(\[[^\]]*\])', one.attributes)
        shape = here[one.operands[0]].gives[0].shape
        return 2 * one.gives[0].size * prod(shape[int(axis)] for axis in json.loads(found[1]))
    if one.target.startswith("__cudnn$conv"):
        return _convolution(one, here)
    if one.target.startswith("__cudnn$fmha"):
        q, k = (here[name].gives[0].shape for name in one.operands[:2])
        each = 2 * prod(q) * (prod(k) // prod(q[:1]) // q[-1] // q[-2])  # [batch, token, head, channel]
        return each * (5 if "Backward" in one.target else 2)
    return 0.0


_COUNTS: dict[str, Callable[[Instruction, Computation], float]] = {
    "dot": _dot,
    "convolution": _convolution,
    "custom-call": _custom,
}
