"""Counts the cycles of Pallas kernels on TPUs, which the text of a program does not tell.

The compiler is asked to dump the schedule of each kernel that it makes: bundles of instructions, of which the chip
takes one a cycle. A Pallas kernel runs its bundles once for each program of its grid, and the grid stands in the
kernel's code, which the text holds. The cores of a chip that is one device deal out one of the grid's parallel axes
among them (https://docs.jax.dev/en/latest/pallas/tpu/pipelining.html). Of a kernel with loops of its own nothing is
told, as its bundles run nobody knows how often.
"""

import base64
import re
from pathlib import Path

from jax._src.interpreters import mlir
from jax._src.lib import tpu
from jax._src.lib.mlir import ir

from vitjax.bench.compiled.hlo import Program

TARGET = "tpu_custom_call"  # what a Pallas kernel is in the text
_BODY = re.compile(r'"body":"([^"]+)"')
_GRID = re.compile(r"iteration_bounds = array<i64: ([\d, ]+)>")
_AXES = re.compile(r"#tpu\.dimension_semantics<(\w+)>")
_LOOP = re.compile(r"\bscf\.(for|while)\b")
_BUNDLES = re.compile(r"total scheduled bundles:\s+(\d+)")


def cycles(program: Program, dump: Path, cores: int = 1) -> dict[str, int]:
    """Counts the cycles of one run of each Pallas kernel of a program, by the name of its value.

    Args:
        program: compiled.
        dump: the folder that its compiler wrote to.
        cores: of the device.
    """
    calls = {one.name: one for here in program.computations.values() for one in here.values() if one.target == TARGET}
    bodies = {name: body[1] for name, one in calls.items() if (body := _BODY.search(one.attributes))}
    scheduled: dict[str, int] = {}  # by code: of kernels that are the same the compiler schedules one
    for name, body in bodies.items():
        scheduled[body] = scheduled.get(body) or _scheduled(dump, name)
    programs = {body: grid(base64.b64decode(body), cores) for body, bundles in scheduled.items() if bundles}
    return {name: programs[body] * scheduled[body] for name, body in bodies.items() if programs.get(body)}


def grid(body: bytes, cores: int = 1) -> int:
    """How many programs a kernel of this code runs one after the other; 0 if it has loops of its own."""
    context = mlir.make_ir_context()
    tpu.register_dialect(context)
    context.allow_unregistered_dialects = True
    with context:
        text = str(ir.Module.parse(body))
    if _LOOP.search(text):
        return 0
    if not (found := _GRID.search(text)):
        return 1
    sides, programs = [int(side) for side in found[1].split(",")], 1
    for axis, side in zip(_AXES.findall(text), sides, strict=True):
        if axis == "parallel" and side > 1:
            side, cores = -(-side // cores), 1
        programs *= side
    return programs


def _scheduled(dump: Path, name: str) -> int:
    """Bundles of a kernel, by the compiler's latest word; 0 if there is none."""
    files = sorted(dump.glob(f"*-{name}-*schedule-analysis_final_bundles.txt"))
    said = files and _BUNDLES.search(files[-1].read_text())
    return int(said[1]) if said else 0
