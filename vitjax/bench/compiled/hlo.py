"""Reads the text of a compiled program: its computations, their instructions, and the lines of code they come from."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from pathlib import Path

import vitjax

_COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\{$")
_ASSIGNED = re.compile(r"^\s+(ROOT )?%?([\w.\-]+) = ")
_OPCODE = re.compile(r"\s*([\w\-]+)\(")
_NAME = re.compile(r"%([\w.\-]+)")
_ARRAY = re.compile(r"([a-z]\w*)\[([\d,]*)\](?:\{([^}]*)\})?")
_TILE = re.compile(r"T\(([\d,]+)\)")
_TABLE = re.compile(r"^(FileNames|FunctionNames|FileLocations|StackFrames)\n((?:\d+ .*\n)*)", re.MULTILINE)
_NUMBERED = re.compile(r"^(\d+) (.*)$", re.MULTILINE)
_OP_NAME = re.compile(r'op_name="([^"]*)"')
_TARGET = re.compile(r'custom_call_target="([^"]*)"')
_FRAME = re.compile(r"stack_frame_id=(\d+)")
_PLACE = re.compile(r'source_file="([^"]*)"(?: source_line=(\d+))?')
_TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"')
_CONSTANT = re.compile(r"^\d+$")
PACKAGE = str(Path(vitjax.__file__).parent)
BITS = {"pred": 8, "token": 0, "opaque": 0}  # of an element, where its type's name has no number of them


@dataclass(frozen=True)
class Array:
    """An array that an instruction gives or reads, as the program lays it out.

    Attributes:
        dtype: e.g. "bf16".
        shape: sizes of its axes.
        layout: order of the axes, tiles and memory, as the text has them.
    """

    dtype: str
    shape: tuple[int, ...]
    layout: str = ""

    @property
    def size(self) -> int:
        """Number of its elements."""
        return prod(self.shape)

    @property
    def bits(self) -> int:
        """Of an element."""
        return BITS[self.dtype] if self.dtype in BITS else int(re.search(r"\d+", self.dtype)[0])

    @cached_property
    def bytes(self) -> float:
        """That it takes, with what fills up its tiles."""
        order, _, rest = self.layout.partition(":")
        shape = list(self.shape)
        if (tile := _TILE.match(rest)) and order:
            sides = [int(side) for side in tile[1].split(",")]
            for axis, side in zip(map(int, order.split(",")), reversed(sides), strict=False):
                shape[axis] = -(-shape[axis] // side) * side
        return prod(shape) * self.bits / 8

    @property
    def on_chip(self) -> bool:
        """Whether it stays in a TPU's on-chip memory."""
        return "S(1)" in self.layout


@dataclass(frozen=True)
class Instruction:
    """An instruction.

    Attributes:
        name: of its value.
        opcode: e.g. "fusion".
        gives: its result, the parts of a tuple one after the other.
        operands: names of the values that it reads.
        said: the text between the parentheses, of a constant its value, of a parameter its number.
        attributes: the rest of its line.
        root: whether its value is that of its computation.
    """

    name: str
    opcode: str
    gives: tuple[Array, ...]
    operands: tuple[str, ...]
    said: str
    attributes: str
    root: bool

    def calls(self, attribute: str) -> str | None:
        """The computation that an attribute names, e.g. "body"."""
        found = re.search(rf"\b{attribute}=%?([\w.\-]+)", self.attributes)
        return found and found[1]

    def numbers(self, attribute: str) -> tuple[int, ...]:
        """The numbers in braces of an attribute, e.g. "lhs_contracting_dims"; none if it is not there."""
        found = re.search(rf"\b{attribute}={{([\d,]*)}}", self.attributes)
        return tuple(int(part) for part in found[1].split(",") if part) if found else ()

    @property
    def operation(self) -> str:
        """Our operation that it was made for: the name JAX gave, its transformations too; empty without."""
        found = _OP_NAME.search(self.attributes)
        return found[1] if found else ""

    @property
    def target(self) -> str:
        """What a custom call calls; empty for all else."""
        found = _TARGET.search(self.attributes)
        return found[1] if found else ""


Computation = dict[str, Instruction]


@dataclass(frozen=True)
class Program:
    """A compiled program.

    Attributes:
        computations: by name, the instructions of each by name, in their order.
        entry: the name of the first.
        frames: of each number of a place in the code the files and lines, innermost first.
    """

    computations: dict[str, Computation]
    entry: str
    frames: dict[int, tuple[tuple[str, int], ...]] = field(default_factory=dict)

    def run(self, name: str | None = None, times: int = 1) -> Iterator[tuple[Instruction, Computation, int]]:
        """Lists what runs: instructions, the computations that they are in, and how often; loops by their trips.

        Of branches the longest is taken.
        """
        here = self.computations[name or self.entry]
        for one in here.values():
            if one.opcode == "while":
                yield from self.run(one.calls("body"), times * self._trips(one))
            elif one.opcode == "call" or one.opcode == "async-start":
                yield from self.run(one.calls("to_apply") or one.calls("calls"), times)
            elif one.opcode == "conditional":
                yield from max((list(self.run(branch, times)) for branch in self._branches(one)), key=len)
            else:
                yield one, here, times

    def line(self, one: Instruction) -> str:
        """The line of ours that an instruction comes from, e.g. "models/parts/mlp.py:52"; empty where none is told."""
        if frame := _FRAME.search(one.attributes):
            places = self.frames.get(int(frame[1]), ())
        else:
            places = [(name, int(line or 0)) for name, line in _PLACE.findall(one.attributes)]
        ours = (f"{file[len(PACKAGE) + 1 :]}:{line}" for file, line in places if file.startswith(PACKAGE))
        return next(ours, "")

    def _trips(self, loop: Instruction) -> int:
        if known := _TRIPS.search(loop.attributes):
            return int(known[1])
        condition = self.computations[loop.calls("condition")]
        return max((int(one.said) for one in condition.values() if _CONSTANT.match(one.said)), default=1)

    def _branches(self, one: Instruction) -> list[str]:
        if listed := re.search(r"branch_computations=\{([^}]*)\}", one.attributes):
            return _NAME.findall(listed[1])
        return [one.calls("true_computation"), one.calls("false_computation")]


def read(text: str) -> Program:
    """Reads the text of a program, as `compiled.as_text()` gives it."""
    computations: dict[str, Computation] = {}
    entry, here = "", None
    for line in text.splitlines():
        if found := _COMPUTATION.match(line):
            here = computations[found[2]] = {}
            entry = found[2] if found[1] else entry
        elif line.startswith("}"):
            here = None
        elif here is not None and (one := _instruction(line)):
            here[one.name] = one
    return Program(computations, entry, _frames(text))


def _instruction(line: str) -> Instruction | None:
    if not (assigned := _ASSIGNED.match(line)):
        return None
    rest = line[assigned.end() :]
    end = _closing(rest) if rest.startswith("(") else rest.index(" ")
    shape, rest = rest[:end], rest[end:]
    opcode = _OPCODE.match(rest)
    rest = rest[opcode.end() - 1 :]
    end = _closing(rest)
    said = rest[1 : end - 1]
    gives = tuple(
        Array(dtype, tuple(int(side) for side in sides.split(",") if side), layout)
        for dtype, sides, layout in _ARRAY.findall(shape)
    )
    return Instruction(assigned[2], opcode[1], gives, tuple(_NAME.findall(said)), said, rest[end:], bool(assigned[1]))


def _closing(text: str) -> int:
    """How many characters a text's first parenthesis takes, up to the one that closes it."""
    depth = 0
    for place, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if not depth:
            return place + 1
    return len(text)


def _frames(text: str) -> dict[int, tuple[tuple[str, int], ...]]:
    """Places in the code by number, from the four tables before a program's computations."""
    tables = {name: {int(key): value for key, value in _NUMBERED.findall(rows)} for name, rows in _TABLE.findall(text)}
    if "StackFrames" not in tables:
        return {}
    number = lambda row, word: int(found[1]) if (found := re.search(rf"{word}=(\d+)", row)) else 0
    places = {
        key: (tables["FileNames"].get(number(row, "file_name_id"), "").strip('"'), number(row, "line"))
        for key, row in tables["FileLocations"].items()
    }
    found: dict[int, tuple[tuple[str, int], ...]] = {}
    for key, row in tables["StackFrames"].items():
        outer = number(row, "parent_frame_id") - 1  # printed as one more than it is; outer frames come first
        found[key] = (places[number(row, "file_location_id")], *found.get(outer, ()))
    return found
