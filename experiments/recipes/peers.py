"""The default recipes of Lucent and Horama beside vitjax's, on the same units, by their own packages, in one run.

    python -m experiments.recipes.peers --model FOLDER --images images.zip --out FOLDER [--count 12 12 2] [--only NAME]

FOLDER holds a ViT of timm's (`model.safetensors`, `config.json`). Besides torch, torchvision and timm it needs

    pip install --no-deps torch-lucent "kornia<=0.4.1" decorator future horama einops && pip install ipython

Every contender paints MLP neurons drawn over all blocks, to the same end: the neuron after its GELU, averaged over
patch tokens; `peer_packages.py` says where the packages' defaults are left. They take turns, unit by unit, deep ones
first, so that times compare. `--count` says how many units vitjax, Lucent and Horama get; fewer are spread over the
blocks. Pictures and times are kept in `--out`; a run that was stopped goes on. Then all pictures are graded by the
report card against the photographs.

A row of the table is a contender: cost (operations of the model's matrix products, forward and back, at every view of
every step), grades as in `frontier.py`, seconds a picture; then, against vitjax on the same units, how many times its
time (median, least, most) and its operations that takes, the median ratio of vitjax's pictures, and how many move their
unit more than vitjax's under held-out changes. Compiling is counted by itself. `peers.webp` shows them all.
"""

import argparse
import importlib.util
import json
import statistics
import time
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image

import vitjax
from experiments.recipes.frontier import row
from experiments.recipes.peer_packages import ENDINGS, INSTALL, PEERS, Neuron
from vitjax.analysis.photographs.exemplars import exemplars
from vitjax.analysis.report.grading import read_finished
from vitjax.analysis.report.report_card import report_cards
from vitjax.analysis.report.yardstick import Yardstick, yardstick
from vitjax.analysis.study.findings import Findings, settings
from vitjax.analysis.study.gallery import gallery
from vitjax.data.dataset import open_dataset
from vitjax.models.vit import ViT
from vitjax.optimize.cost import picture_flops
from vitjax.optimize.recipes import RECIPES
from vitjax.optimize.results.pictures import Pictures, append
from vitjax.optimize.schedule.batches import batches_of
from vitjax.optimize.workers import Task, run
from vitjax.units.units import Unit, caption, expand, sample

OURS = "vitjax"
FOLDERS = {OURS: OURS} | {name + part: name for name, peer in PEERS.items() for part in ENDINGS[peer.package]}
Graded = dict[str, tuple[np.ndarray, dict]]  # {unit: (picture, report card)}
Times = dict[str, dict[str, dict[str, float]]]  # {contender: {unit: {"seconds", "compile_seconds"}}}


def spread(units: list[Unit], count: int) -> list[Unit]:
    """At most `count` of the units, evenly over the list."""
    count = min(count, len(units))
    return [units[i * len(units) // count] for i in range(count)]


def flops(model: ViT, name: str, tap: str) -> float:
    """Operations of one picture of a contender."""
    return (
        picture_flops(model.config, tap, RECIPES["default"]) if name == OURS else PEERS[name].flops(model.config, tap)
    )


def finished(model: ViT, image: np.ndarray) -> np.ndarray:
    """A picture [h, w, 3] in [0, 1] as bytes, at the model's size."""
    height, width = model.config.image_size
    pixels = Image.fromarray(np.round(np.clip(image, 0, 1) * 255).astype(np.uint8))
    return np.asarray(pixels.resize((width, height), Image.Resampling.BICUBIC))


def ours(model: ViT, unit: Unit, seed: int) -> tuple[dict[str, Pictures], dict[str, float]]:
    """vitjax's picture of a unit, {folder: picture}, and what it took."""
    (painted,) = run(Task(model, RECIPES["default"], seed), batches_of([unit], 1))
    times = {"seconds": painted.looping, "compile_seconds": painted.seconds - painted.looping}
    return {OURS: painted.pictures}, times


def theirs(model: ViT, folder: Path, name: str, unit: Unit, seed: int) -> tuple[dict[str, Pictures], dict[str, float]]:
    """A peer's pictures of a unit, {folder: picture}, and what they took."""
    neuron = Neuron(folder, model.config, unit)
    clock = time.perf_counter()
    found = PEERS[name].paint(neuron, seed)
    times = {"seconds": time.perf_counter() - clock, "compile_seconds": 0.0}
    history = {"activation": np.array([neuron.history])}
    about = {"recipe": PEERS[name], "seed": seed, "model": asdict(model.card), "batch": 1}
    pictures = {}
    for part, image in found.items():
        image = finished(model, image)
        with torch.no_grad():
            reached = neuron(torch.from_numpy(image / np.float32(255)).permute(2, 0, 1)[None])
        pictures[name + part] = Pictures(image[None], [unit], reached.numpy()[None], history, **about)
    return pictures, times


def paint(model: ViT, folder: Path, units: dict[str, list[Unit]], seed: int, out: Path) -> Times:
    """Makes the pictures that `out` lacks, contenders taking turns; gives what all took."""
    path = out / "times.json"
    took = {name: {} for name in units} | (json.loads(path.read_text()) if path.exists() else {})
    for unit in reversed(max(units.values(), key=len)):
        for name in units:
            if unit in units[name] and str(unit) not in took[name]:
                pictures, times = ours(model, unit, seed) if name == OURS else theirs(model, folder, name, unit, seed)
                for place, picture in pictures.items():
                    append(out / place, picture)
                took[name][str(unit)] = times
                path.write_text(json.dumps(took, indent=1) + "\n")
                print(f"{name} {unit}: {times['seconds']:.0f} s", flush=True)
    return took


def graded(model: ViT, folder: Path, units: list[Unit], measure: Yardstick, batch: int) -> Graded:
    """A folder's pictures of the units, with their report cards."""
    entries, _ = read_finished(folder, model)
    entries = entries.take(i for i, unit in enumerate(entries.units) if unit in units)
    found = report_cards(model, entries, measure, batch=batch)
    return {str(unit): pair for unit, *pair in zip(entries.units, entries.images, found, strict=True)}


def compared(model: ViT, name: str, found: Graded, best: Graded, took: Times) -> dict:
    """What a contender's pictures took, beside vitjax's of the same units, and how often they move the unit more."""
    cost = lambda who, unit: flops(model, who, unit.rpartition(":")[0])
    ratios = [took[name][unit]["seconds"] / took[OURS][unit]["seconds"] for unit in found]
    return {
        "seconds": statistics.median(took[name][unit]["seconds"] for unit in found),
        "compile_seconds": statistics.median(took[name][unit]["compile_seconds"] for unit in found),
        "times_vitjax": statistics.median(ratios),
        "times_least": min(ratios),
        "times_most": max(ratios),
        "times_flops": statistics.median(cost(name, unit) / cost(OURS, unit) for unit in found),
        "vitjax_ratio": statistics.median(best[unit][1]["ratio"] for unit in found),
        "above_vitjax": sum(card["held_out"] > best[unit][1]["held_out"] for unit, (_, card) in found.items()),
    }


def sheet(shown: dict[str, Graded], units: list[Unit]) -> Figure:
    """The pictures, a row a folder, with ratios and verdicts beneath."""
    lines = [[found.get(str(unit), (None, None)) for unit in units] for found in shown.values()]
    say = lambda card: f"{card['ratio']:.2g}, {card['verdict']}" if card else ""
    return gallery(
        [[[image] for image, _ in line] for line in lines],
        labels=list(shown),
        titles=[caption(unit) for unit in units],
        captions=[[say(card) for _, card in line] for line in lines],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--images", required=True, help="folder or zip of natural photographs")
    parser.add_argument("--out", type=Path, required=True, help="for the pictures")
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--count", type=int, nargs=3, default=[12, 12, 2], metavar=("VITJAX", "LUCENT", "HORAMA"))
    parser.add_argument("--only", nargs="+", choices=PEERS, default=list(PEERS), help="these peers (default: all)")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--batch", type=int, default=2)
    args = parser.parse_args()
    for module in sorted({name.partition("-")[0] for name in args.only}):
        if importlib.util.find_spec(module) is None:
            parser.error(f"{module} is not installed: {INSTALL}")
    model = vitjax.load(args.model)
    counts = dict(zip((OURS, *PEERS), [*args.count, args.count[-1]], strict=True))
    drawn = sample(expand(f"{model.neurons}:*", model.taps()), max(model.config.depth, args.count[0]), args.seed)
    drawn = spread(drawn, args.count[0])
    units = {name: spread(drawn, count) for name, count in counts.items() if name == OURS or name in args.only}
    args.out.mkdir(parents=True, exist_ok=True)
    took = paint(model, args.model, units, 0, args.out)
    data = open_dataset(args.images, model.config, batch=25)
    measure = yardstick(model, data, exemplars(model, data, sorted({unit.tap for unit in drawn})))
    places = {place: name for place, name in FOLDERS.items() if name in units}
    shown = {place: graded(model, args.out / place, units[name], measure, args.batch) for place, name in places.items()}
    rows, pictures = [], []
    for place, name in places.items():
        found = [card for _, card in shown[place].values()]
        cost = float(np.mean([flops(model, name, unit.tap) for unit in units[name]]))
        rows.append(row(place, name, cost, found) | compared(model, name, shown[place], shown[OURS], took))
        pictures += [{"recipe": place} | took[name][card["unit"]] | card for card in found]
    about = settings(model, data, count=args.count, seed=args.seed)
    about["packages"] = {name: version(name) for name in ["torch", *{PEERS[name].package: 0 for name in args.only}]}
    print(*Findings("peers", rows, about).save(args.results), sep="\n")
    print(*Findings("peers-pictures", pictures, about).save(args.results), sep="\n")
    sheet(shown, drawn).savefig(args.results / "peers.webp", dpi=110, pil_kwargs={"quality": 70})


if __name__ == "__main__":
    main()
