"""Measures what loading a large checkpoint with random weights takes: seconds and host memory, as JSON.

    python benchmarks/loading.py --out benchmarks/results/loading_cpu.json

Every load runs in a process of its own, from files that the page cache has forgotten. Its memory is the peak of the
resident set from after the imports on; what the model itself takes is in it. `read` is a plain sequential read of the
same file: what the disk gives. Where other work shares the processor, its seconds say more than those of the clock.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ARCHITECTURE = "vit_large_patch14_clip_224"
CHUNK = 2**24
STEPS = ("read", "load", "load and cache", "load from the cache")


def main() -> None:
    """Runs the script."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--architecture", default=ARCHITECTURE, help="name in timm (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each kind, in turns (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="write the measurements to this JSON file")
    parser.add_argument("--step", choices=("make", *STEPS), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.step:
        return print(json.dumps(make(args) if args.step == "make" else measure(args.step, args.folder)))
    with tempfile.TemporaryDirectory() as folder:
        size = run("make", folder, args.architecture)["bytes"]
        rows = [{"step": step, **run(step, folder, args.architecture)} for _ in range(args.repeats) for step in STEPS]
    for row in rows:
        row["of_the_file"] = round(row["peak_bytes"] / size, 3)
        times = f"{row['seconds']:6.2f} s, {row['cpu_seconds']:6.2f} s of a core"
        print(f"{row['step']:20} {times} {row['peak_bytes'] / 1e6:8.0f} MB {row['of_the_file']:6.2f}")
    machine = {"platform": platform.platform(), "cores": os.cpu_count(), "python": platform.python_version()}
    versions = {name: version(name) for name in ("jax", "flax", "numpy", "orbax-checkpoint", "safetensors")}
    record = {"machine": machine, "versions": versions, "architecture": args.architecture, "bytes": size, "rows": rows}
    if args.out:
        args.out.write_text(json.dumps(record, indent=1) + "\n")


def run(step: str, folder: str, architecture: str) -> dict:
    """One step in a fresh process."""
    command = [sys.executable, __file__, "--step", step, "--folder", folder, "--architecture", architecture]
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "VITJAX_CACHE": f"{folder}/cache", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def make(args: argparse.Namespace) -> dict:
    """Writes the checkpoint: normal numbers in timm's names."""
    import numpy as np
    from safetensors.numpy import save_file

    from vitjax.weights import parameters, save
    from vitjax.weights.families.timm import models as timm

    settings = {"architecture": args.architecture, "pretrained_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3}}
    config, random = timm.config(settings, {}), np.random.default_rng(0)
    arrays = {name: random.standard_normal(shape, np.float32) for name, shape in parameters.shapes(config).items()}
    path = args.folder / "model.safetensors"
    save_file(save.to_timm(arrays, config, "float32"), path)
    (args.folder / "config.json").write_text(json.dumps(settings))
    return {"bytes": path.stat().st_size}


def measure(step: str, folder: Path) -> dict:
    """Seconds and peak of the resident set of one step, counted from after the imports."""
    import shutil

    import jax

    import vitjax

    load, file = vitjax.load, folder / "model.safetensors"
    jax.block_until_ready(jax.numpy.zeros(1))
    if step == "load and cache":
        shutil.rmtree(folder / "cache", ignore_errors=True)
    for path in folder.rglob("*"):
        forget(path)
    before, start, worked = resident("VmRSS"), time.perf_counter(), time.process_time()
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted anew
    if step == "read":
        with open(file, "rb", buffering=0) as data:
            buffer = bytearray(CHUNK)
            while data.readinto(buffer):
                pass
    else:
        jax.block_until_ready(jax.tree.leaves(load(folder, cache=step != "load")))
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - worked
    peak = resident("VmHWM") - before
    return {"seconds": round(seconds, 2), "cpu_seconds": round(cpu_seconds, 2), "peak_bytes": peak}


def forget(path: Path) -> None:
    """Drops a file from the page cache."""
    if path.is_file():
        with open(path, "rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def resident(field: str) -> int:
    """Bytes of this process's memory, by its name in /proc/self/status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(field))


if __name__ == "__main__":
    main()
