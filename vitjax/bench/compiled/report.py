"""Runs `vitjax bench --compile-for`: what a chip's compiler says of the loop, as a table and as JSON."""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path

from vitjax.bench.compiled.chips import TPU, Chip
from vitjax.bench.compiled.estimate import dearest, untimed
from vitjax.bench.compiled.target import Refused, built, place
from vitjax.bench.measure import LIMITS, Setting, taps_of
from vitjax.bench.rates import machine
from vitjax.files import writable_folder, write_whole
from vitjax.models.core.execution import Execution
from vitjax.models.registry import Config, abstract
from vitjax.optimize.cost import dearest_stage, step_flops
from vitjax.optimize.memory import SHARE
from vitjax.optimize.recipes import Recipe, fields
from vitjax.optimize.schedule.plan import Leg

TOP = 10  # operations that are listed
HEAD = f"{'tap':24} {'pictures':>8} {'views':>5} {'dtype':8} {'attention':9} {'compile s':>9} {'MB':>7} {'ms/step':>8}"
HEAD += f" {'ms/picture':>10} {'TFLOP/s':>8} {'of chip':>7} {'GB/step':>8} {'kernels':>7}"


@dataclass(frozen=True)
class Row:
    """What the compiler says of one setting.

    Attributes:
        setting: what was compiled.
        compile_seconds: that it took here.
        megabytes: of temporaries on the chip, beside weights and pictures.
        held_megabytes: of weights and pictures.
        ms_a_step: of all pictures together, see `vitjax.bench.compiled.estimate`.
        ms_a_picture: of a step, for each.
        tflops: what the loop computes (`vitjax.optimize.cost`) over that time.
        of_the_chip: its ratio to the chip's rate of products, at most, where kernels are `unknown`; None where that
            rate is.
        gigabytes: that a step reads and writes beside the chip.
        ms_of_memory: that these take at the chip's bandwidth.
        kernels: how many run a step.
        unknown: how often kernels that carry no time run a step, by name: they are in no sum.
        dearest: (operation, line of code, ms a step).
    """

    setting: Setting
    compile_seconds: float
    megabytes: float
    held_megabytes: float
    ms_a_step: float
    ms_a_picture: float
    tflops: float
    of_the_chip: float | None
    gigabytes: float
    ms_of_memory: float | None
    kernels: int
    unknown: dict[str, int]
    dearest: list[tuple[str, str, float]]


def row(chip: Chip, config: Config, recipe: Recipe, setting: Setting) -> Row:
    """Compiles a setting for a chip, and reads what its compiler says; of a recipe of stages, of its dearest one."""
    return of_stage(chip, dearest_stage(config, setting.tap, recipe), setting)


def of_stage(chip: Chip, stage: Leg, setting: Setting) -> Row:
    """Compiles a step of a stage for a chip, and reads what its compiler says."""
    clock = time.perf_counter()
    execution = Execution(setting.remat, setting.attention, scan=setting.scan)
    made = built(chip, stage.config, setting.tap, stage.recipe, setting.batch, setting.dtype, execution)
    seconds, found = time.perf_counter() - clock, made.kernels
    step = sum(kernel.total for kernel in found)
    moved = sum(kernel.times * kernel.bytes for kernel in found)
    tflops = setting.batch * step_flops(stage.config, setting.tap, stage.recipe) / step / 1e12
    return Row(
        setting=setting,
        compile_seconds=seconds,
        megabytes=made.temporaries / 1e6,
        held_megabytes=made.held / 1e6,
        ms_a_step=1e3 * step,
        ms_a_picture=1e3 * step / setting.batch,
        tflops=tflops,
        of_the_chip=tflops * 1e12 / chip.rate(setting.dtype) if chip.half else None,
        gigabytes=moved / 1e9,
        ms_of_memory=1e3 * moved / chip.bandwidth if chip.bandwidth else None,
        kernels=sum(kernel.times for kernel in found if kernel.seconds),
        unknown=dict(untimed(found)),
        dearest=[(operation, line, 1e3 * each) for operation, line, each in dearest(found, TOP)],
    )


def run(
    chip: Chip,
    config: Config,
    recipe: Recipe,
    *,
    source: str,
    blocks: Sequence[int] | None,
    batches: Sequence[int],
    views: Sequence[int],
    dtypes: Sequence[str],
    remats: Sequence[bool],
    attentions: Sequence[str],
    scan: bool,
    out: Path | None,
) -> int:
    """Compiles every combination, prints a table, writes JSON to `out` after each tap if given; gives the exit code.

    Args:
        chip: that is compiled for.
        config: of the model.
        recipe: whose loop is compiled.
        source: what the model is called, for the record.
        blocks, batches, views, dtypes, remats, attentions: the settings.
        scan: blocks alike as one scan; False for all blocks unrolled.
        out: a .json file.

    What a compiler refuses, such as more pictures than fit, is said in a line of the table.

    Raises:
        InputError: a number out of its range, or the compiler is not installed or does not know the chip.
    """
    for name, numbers in {"batch": batches, "views": views}.items():
        for number in numbers:
            LIMITS[name].check(f"--{name}", number)
    place(chip)
    if out:
        writable_folder(out.parent)
    how = "its compiler's cycles" if chip.platform == TPU else "bytes and operations at the card's rates"
    print(f"{chip.name}: {chip.said}. Compiled for it and not run; times are estimates, by {how}.\n{HEAD}")
    facts = {"model": source, "recipe": fields(recipe), "chip": chip.name, "jax": machine()["jax"]}
    rows: list[Row] = []
    refused: list[dict] = []
    for tap, dtype in product(taps_of(abstract(config), blocks), dtypes):
        of_tap = []
        for batch, seen, remat, attention in product(batches, views, remats, attentions):
            setting = Setting(tap, batch, seen, dtype, remat, attention, scan=scan)
            try:
                of_tap.append(row(chip, config, replace(recipe, views=seen), setting))
                print(_line(of_tap[-1]), flush=True)
            except Refused as error:
                refused.append({"setting": asdict(setting), "why": str(error)})
                print(f"{tap:24} {batch:8} {seen:5} {dtype:8} {attention:9} refused: {error}", flush=True)
        if of_tap:
            _tell(chip, of_tap)
        rows += of_tap
        if out:  # at once: the next may take minutes
            record = facts | {"rows": [asdict(row) for row in rows], "refused": refused}
            write_whole(out, (json.dumps(record, indent=1) + "\n").encode())
    if out:
        print(f"written to {out}")
    return 0


def fits(chip: Chip, rows: Sequence[Row]) -> tuple[float, int] | None:
    """Megabytes that a picture takes and how many fit, by the smallest and the largest number that was compiled."""
    few, many = (pick(rows, key=lambda row: row.setting.batch) for pick in (min, max))
    if few.setting.batch == many.setting.batch:
        return None
    whole = lambda row: row.megabytes + row.held_megabytes
    each = (whole(many) - whole(few)) / (many.setting.batch - few.setting.batch)
    fixed = whole(few) - few.setting.batch * each
    return each, int((SHARE * chip.memory / 1e6 - fixed) // max(each, 1e-3))


def _tell(chip: Chip, rows: Sequence[Row]) -> None:
    """Prints what a tap's rows say together: memory, the best number of pictures, and what takes its time."""
    best = min(rows, key=lambda row: row.ms_a_picture)
    alike = [row for row in rows if replace(row.setting, batch=0) == replace(best.setting, batch=0)]
    if found := fits(chip, alike):
        print(f"  Best of these: {best.setting.batch} pictures, {best.ms_a_picture:.2f} ms a step of each.", end="")
        room = f": {found[1]} fit into {SHARE:.0%} of the memory" if chip.memory else ""
        print(f" {found[0]:.0f} MB a picture{room}.")
    print(f"  Dearest of {best.setting.batch} pictures' {best.ms_a_step:.2f} ms a step:")
    for operation, line, milliseconds in best.dearest:
        print(f"    {milliseconds:8.2f} ms {milliseconds / best.ms_a_step:5.1%}  {operation:36} {line}")
    for name, times in best.unknown.items():
        print(f"    {'?':>8}            {name}, {times} times: the compiler tells no time of it, it is in no sum")


def _line(row: Row) -> str:
    at = row.setting
    share = "?" if row.of_the_chip is None else f"{'<' if row.unknown else ''}{row.of_the_chip:.1%}"
    return (
        f"{at.tap:24} {at.batch:8} {at.views:5} {at.dtype:8} {at.attention:9} {row.compile_seconds:9.1f}"
        f" {row.megabytes:7.0f} {row.ms_a_step:8.2f} {row.ms_a_picture:10.2f} {row.tflops:8.4g} {share:>7}"
        f" {row.gigabytes:8.2f} {row.kernels:7}"
    )
