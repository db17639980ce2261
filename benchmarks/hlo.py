"""Counts what the compiler made of a step: how many kernels of which kind, and what moves data without computing.

    python benchmarks/hlo.py --model FOLDER [--blocks 0 11] [--dtype float32]

Counts the instructions of the compiled loop by where they run: once a call, once a step, once a block and step. Inside
fusions nothing is counted: a fusion is one kernel. Copies, transposes and converts that stand alone are passes over
memory that compute nothing; those of scalars are left out.
"""

import argparse
import re
from collections import Counter

import jax

import vitjax
from vitjax.optimize import loop
from vitjax.optimize.objectives import UnitActivation
from vitjax.optimize.recipes import GHIASI
from vitjax.units.units import expand

COMPUTATION = re.compile(r"^(?:ENTRY )?%?([\w.\-]+) .*\{$")
INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?[\w.\-]+ = (\(.*?\)|\S+) ([\w\-]+)\(")
BODY = re.compile(r"(?:body|true_computation|false_computation|to_apply)=%?([\w.\-]+)|branch_computations=\{([^}]*)\}")
MOVES = ("copy", "transpose", "convert")
KERNELS = ("fusion", "dot", "custom-call", "reduce", "sort", "rng", *MOVES)


def computations(text: str) -> dict[str, list[str]]:
    """The lines of each computation of an HLO module, by name."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if match := COMPUTATION.match(line):
            name = match[1]
            found[name] = []
            if line.startswith("ENTRY"):
                found["ENTRY"] = found[name]
        elif found and line.startswith(" "):
            found[name].append(line)
    return found


def counted(lines: list[str]) -> Counter:
    """How many kernels of each kind, those on scalars left out."""
    kinds: Counter = Counter()
    for line in lines:
        if (match := INSTRUCTION.match(line)) and match[2] in KERNELS and "[]" not in match[1].split("{")[0]:
            kinds[match[2]] += 1
    return kinds


def loops(found: dict[str, list[str]], name: str, depth: int = 0) -> list[tuple[int, Counter]]:
    """The kernels of a computation and of the loops in it, outermost first, each with how deep it lies."""
    here = [(depth, counted(found[name]))]
    for line in found[name]:
        if " while(" in line or " conditional(" in line:
            for body, branches in BODY.findall(line):
                for inner in [body] if body else re.findall(r"[\w.\-]+", branches):
                    if inner in found:
                        here += loops(found, inner, depth + (" while(" in line))
    return [(level, kinds) for level, kinds in here if kinds]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--blocks", type=int, nargs="+", default=[0, 11])
    parser.add_argument("--dtype", default="float32")
    args = parser.parse_args()
    model = vitjax.load(args.model, dtype=args.dtype)
    for block in args.blocks:
        tap = f"blocks.{block}.mlp.hidden"
        aims = loop.aims(expand(f"{tap}:0-3", model.taps()), model.taps(), 0)
        program = loop.Program(GHIASI, UnitActivation(tap), chunk=GHIASI.steps)
        slots = jax.eval_shape(lambda aims=aims: loop.start(model, aims, recipe=GHIASI))
        text = loop.advance.lower(model, slots, aims, program=program).compile().as_text()
        print(tap)
        for level, kinds in loops(computations(text), "ENTRY"):
            where = ("once a call", "once a step", "in a loop within a step")[min(level, 2)]
            print(f"  {where:24}", ", ".join(f"{count} {kind}" for kind, count in kinds.most_common()))


if __name__ == "__main__":
    main()
