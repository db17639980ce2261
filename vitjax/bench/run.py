"""Runs `vitjax bench`: measures every setting, prints a table, writes it with a figure, compares with an older one."""

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path

import jax

from vitjax.bench.measure import LIMITS, Row, Setting, measure, taps_of
from vitjax.bench.rates import copy_rate, machine, matmul_rate
from vitjax.errors import InputError
from vitjax.files import read_json, writable_folder, write_whole
from vitjax.models.core.network import Network
from vitjax.optimize.recipes import Recipe, fields
from vitjax.units.units import caption

HEAD = (
    f"{'tap':22} {'pictures':>8} {'views':>5} {'dtype':8} {'remat':5} {'attention':9} {'devices':>7} {'compile s':>9} "
)
HEAD += f"{'steps/s':>8} {'pictures/h':>10} {'TFLOP/s':>8} {'of product':>10} {'MB':>6}"


@dataclass(frozen=True)
class _Measured:
    """What is compared of a row."""

    setting: Setting
    steps_per_second: float


@dataclass(frozen=True)
class _Older:
    """What is compared of a file that was written before."""

    rows: list[_Measured]


def run(
    load: Callable[[str], Network],
    recipe: Recipe,
    *,
    source: str,
    blocks: Sequence[int] | None,
    batches: Sequence[int],
    views: Sequence[int],
    dtypes: Sequence[str],
    remats: Sequence[bool],
    attentions: Sequence[str],
    devices: Sequence[int],
    scan: bool,
    steps: int,
    out: Path | None,
    compare: Path | None,
) -> int:
    """Measures every combination, prints a table, writes JSON and a figure to `out` if given; gives the exit code.

    Args:
        load: gives the model in a dtype.
        recipe: whose loop is timed.
        source: what the model was loaded from, for the record.
        blocks, batches, views, dtypes, remats, attentions, devices: the settings.
        scan: blocks alike as one scan; False for all blocks unrolled.
        steps: timed in each.
        out: a .json file; the figure lies beside it.
        compare: an older such file.

    Raises:
        InputError: a number out of its range, more devices than there are, or no older measurements in `compare`.
    """
    for name, numbers in {"batch": batches, "views": views, "devices": devices, "steps": [steps]}.items():
        for number in numbers:
            LIMITS[name].check(f"--{name}", number)
    if wrong := [count for count in devices if count > jax.local_device_count()]:
        raise InputError(f"{wrong[0]} devices: this machine has {jax.local_device_count()}")
    older = _older(compare) if compare else {}
    if out:
        writable_folder(out.parent)
    device, copying, rates, rows = jax.devices()[0], copy_rate(), {}, []
    for dtype in dtypes:
        model = load(dtype)
        taps = taps_of(model, blocks)
        rates[dtype] = matmul_rate(dtype)
        print(
            f"{device.device_kind} ({device.platform}): {dtype} matrix product {rates[dtype] / 1e12:.3g} TFLOP/s,"
            f" memory {copying / 1e9:.3g} GB/s\n{HEAD}"
        )
        for tap, batch, seen, remat, attention, count in product(taps, batches, views, remats, attentions, devices):
            setting = Setting(tap, batch, seen, dtype, remat, attention, count, scan)
            rows.append(measure(model, replace(recipe, views=seen), setting, steps, rates[dtype]))
            print(_line(rows[-1], older.get(_key(asdict(setting)))), flush=True)
    if out:
        about = {"model": source, "recipe": fields(recipe), "timed_steps": steps}
        record = {
            "machine": machine(),
            "matmul_tflops": {dtype: rate / 1e12 for dtype, rate in rates.items()},
            "copy_gigabytes_per_second": copying / 1e9,
            "settings": about,
            "rows": [asdict(row) for row in rows],
        }
        write_whole(out, (json.dumps(record, indent=1) + "\n").encode())
        _figure(rows).savefig(figure := io.BytesIO(), format="png")
        write_whole(out.with_suffix(".png"), figure.getvalue())
        print(f"written to {out} and {out.with_suffix('.png')}")
    return 0


def _line(row: Row, before: float | None) -> str:
    at = row.setting
    change = f"  {row.steps_per_second / before:.2f} times before" if before else ""
    return (
        f"{at.tap:22} {at.batch:8} {at.views:5} {at.dtype:8} {'yes' if at.remat else 'no':5} {at.attention:9}"
        f" {at.devices:7} {row.compile_seconds:9.2f} {row.steps_per_second:8.3g} {row.pictures_per_hour:10.4g}"
        f" {row.tflops:8.3g} {row.utilisation:10.1%} {row.megabytes:6.0f}{change}"
    )


def _key(setting: dict) -> tuple:
    return tuple(sorted(setting.items()))


def _older(path: Path) -> dict[tuple, float]:
    """Reads steps per second of an older run, by setting."""
    try:
        return {_key(asdict(row.setting)): row.steps_per_second for row in read_json(path, _Older).rows}
    except InputError as error:
        raise InputError(f"--compare {path}: no measurements of this version's `vitjax bench` ({error})") from None


def _figure(rows: Sequence[Row]):
    """Draws pictures per hour by tap, a bar a setting."""
    from vitjax.analysis.study.style import COLORS, panels, style

    taps = list(dict.fromkeys(row.setting.tap for row in rows))
    settings = list(dict.fromkeys(_key(asdict(row.setting) | {"tap": ""}) for row in rows))
    with style():
        figure, (axes,) = panels(1, 1, (1.5 + 1.2 * len(taps), 3))
        for i, key in enumerate(settings):
            found = {row.setting.tap: row for row in rows if _key(asdict(row.setting) | {"tap": ""}) == key}
            at = next(iter(found.values())).setting
            label = (
                f"{at.batch} x {at.views} views, {at.dtype}{', remat' if at.remat else ''}, {at.attention} attention"
            )
            label += f", {at.devices} devices"
            places = [taps.index(tap) + (i + 0.5) / len(settings) * 0.8 - 0.4 for tap in found]
            heights = [row.pictures_per_hour for row in found.values()]
            axes.bar(places, heights, 0.8 / len(settings), label=label, color=COLORS[i % len(COLORS)])
        axes.set(xticks=range(len(taps)), xticklabels=map(caption, taps), ylabel="pictures per hour")
        axes.grid(axis="x", visible=False)
        axes.legend(fontsize=7)
    return figure
