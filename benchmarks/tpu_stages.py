"""What a TPU's compiler says of a unit in each stage: memory of a picture, milliseconds a step, and what takes them.

    python benchmarks/tpu_stages.py [--model swin_base_patch4_window7_224] [--slots 4] [--json FILE.json]

Needs `pip install libtpu` beside the same JAX, and no TPU: the program is compiled for a v5e and not run. The figures
are the compiler's estimates, cycles of each fusion times how often it runs, without stalls of memory transfers: good to
compare programs and to find what is dear, to be confirmed on a chip. By operation: the last of our own operations that
the compiler names a fusion after.
"""

import argparse
import json
import os
import re
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

os.environ.update(  # before JAX is imported
    TPU_SKIP_MDS_QUERY="1", JAX_PLATFORMS="cpu", TPU_WORKER_HOSTNAMES="localhost", TPU_ACCELERATOR_TYPE="v5litepod-4"
)

import jax
import jax.numpy as jnp
from jax.experimental import topologies
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from benchmarks.compile_stages import chosen, of_timm
from vitjax.models.registry import Config, abstract
from vitjax.optimize import loop
from vitjax.optimize.cost import step_flops
from vitjax.optimize.objectives import UnitActivation
from vitjax.optimize.recipes import Recipe, choose

TOPOLOGY, HERTZ, RATE = "v5e:2x2", 1.5e9, 197e12  # cycles and bfloat16 operations a second of one chip
TOP = 14  # operations that are listed

_COMPUTATION = re.compile(r"^(?:ENTRY )?%?([\w.\-]+) \(.*\{$")
_CYCLES = re.compile(r'"estimated_cycles":"(\d+)"')
_NAMED = re.compile(r'op_name="([^"]*)"')
_WHILE = re.compile(r" while\(.*condition=%?([\w.\-]+), body=%?([\w.\-]+)")
_TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"')
_CALLED = re.compile(r" call\(.*to_apply=%?([\w.\-]+)")
_CONSTANT = re.compile(r"constant\((\d+)\)")


def compiled(config: Config, tap: str, recipe: Recipe, slots: int) -> jax.stages.Compiled:
    """One step of the loop in bfloat16, for one chip."""
    topology = topologies.get_topology_desc(platform="tpu", topology_name=TOPOLOGY)
    place = NamedSharding(Mesh(topology.devices[:1], ("x",)), PartitionSpec())
    model = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, jnp.bfloat16), abstract(config))
    aims = loop.Targets(jnp.zeros(slots, jnp.int32), jnp.zeros(slots, jnp.uint32), jnp.uint32(0))
    started = jax.eval_shape(partial(loop.start, recipe=recipe), model, aims)
    placed = lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place)
    arguments = jax.tree.map(placed, (model, started, aims))
    return loop.advance.lower(*arguments, program=loop.Program(recipe, UnitActivation(tap), chunk=1)).compile()


def cycles(text: str) -> Counter[str]:
    """Estimated cycles of a program by operation, those of loops as often as they run."""
    lines, entry, name = {}, "", ""
    for line in text.splitlines():
        if found := _COMPUTATION.match(line):
            name = found[1]
            lines[name] = []
            entry = name if line.startswith("ENTRY") else entry
        elif name:
            lines[name].append(line)

    def trips(line: str, condition: str) -> int:
        known = _TRIPS.search(line)
        return (
            int(known[1]) if known else max(int(number) for at in lines[condition] for number in _CONSTANT.findall(at))
        )

    def walked(name: str, times: int) -> Iterator[tuple[str, int]]:
        for line in lines[name]:
            if found := _WHILE.search(line):
                yield from walked(found[2], times * trips(line, found[1]))
            elif found := _CALLED.search(line):
                yield from walked(found[1], times)
            elif found := _CYCLES.search(line):
                named = _NAMED.search(line)
                yield called(named[1]) if named else "unnamed", times * int(found[1])

    total: Counter[str] = Counter()
    for operation, count in walked(entry, 1):
        total[operation] += count
    return total


def called(name: str) -> str:
    """The last operation of a name, and whether it is of the gradient."""
    return name.rpartition("/")[2] + (", backward" if "transpose(" in name else "")


def row(config: Config, tap: str, recipe: Recipe, slots: int) -> dict[str, object]:
    """What the compiler says of one tap."""
    clock = time.monotonic()
    program = compiled(config, tap, recipe, slots)
    by = cycles(program.as_text())
    seconds, operations = sum(by.values()) / HERTZ, slots * step_flops(config, tap, recipe)
    found = {
        "tap": tap,
        "slots": slots,
        "megabytes_a_slot": round(program.memory_analysis().temp_size_in_bytes / 1e6 / slots, 1),
        "ms_a_step": round(1e3 * seconds, 2),
        "ms_a_slot": round(1e3 * seconds / slots, 2),
        "tflops": round(operations / seconds / 1e12, 1),
        "of_the_chip": round(operations / seconds / RATE, 3),
        "ms_by_operation": {name: round(1e3 * count / HERTZ, 3) for name, count in by.most_common(TOP)},
    }
    print(json.dumps(found | {"compile_s": round(time.monotonic() - clock)}, indent=1), flush=True)
    return found


def main() -> None:
    """Prints what the compiler says of each stage, and writes it where that is asked."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="swin_base_patch4_window7_224", help="one of timm's (default: %(default)s)")
    parser.add_argument("--recipe", default="default", help="of the pictures (default: default)")
    parser.add_argument("--slots", type=int, default=4, help="pictures at once (default: 4)")
    parser.add_argument("--json", type=Path, metavar="FILE.json", help="write what is printed")
    args = parser.parse_args()
    config, recipe, rows = of_timm(args.model), choose(args.recipe, stages=()), []
    for tap in chosen(config):
        rows.append(row(config, tap, recipe, args.slots))
        if args.json:
            facts = {"model": args.model, "recipe": args.recipe, "views": recipe.views, "chip": TOPOLOGY}
            args.json.write_text(json.dumps({**facts, "jax": jax.__version__, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
