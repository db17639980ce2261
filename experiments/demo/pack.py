"""Packs a finished training into `vitjax/demo` and keeps its curves: the model users get without downloading anything.

    python -m experiments.demo.pack --run runs/demo --data FOLDER
    python -m experiments.demo.pack --run runs/swin --data FOLDER --to runs/swin/model

With --to the model is written there, as `vitjax convert` does, and its curves and accuracy beside the run's own.
"""

import argparse
import json
import shutil
from pathlib import Path

import matplotlib.pyplot as plt
from safetensors.numpy import save

import vitjax
from experiments.demo import tiny_imagenet, train
from vitjax.files import write_files
from vitjax.models.core.class_names import ClassNames
from vitjax.models.core.network import Network
from vitjax.models.vit import ViT
from vitjax.train.kept.result import card_of
from vitjax.weights import parameters
from vitjax.weights.families.own import record
from vitjax.weights.formats.names import CONFIG, RESULT, RUN, WEIGHTS
from vitjax.weights.publish.converted import export
from vitjax.weights.save import to_timm

NAME = "vit_demo_patch8_64"
ROOT = Path(__file__).resolve().parents[2]
RESULTS = Path(__file__).parent / "results"


def finished(run: Path) -> tuple[Network, dict]:
    """The model of a run, and the run's settings; a run that is not finished is refused."""
    if not (run / RESULT).is_dir():
        raise SystemExit(f"{run} is not finished: let it finish first")
    about = json.loads((run / RUN).read_text())
    return vitjax.load(run / RESULT), about["demo"] | {"teacher": about["teacher"]}


def write_demo(model: ViT, data: Path, place: Path) -> None:
    """Writes the embedded model: float16 tensors by timm's names, and a record of what it is and of its classes."""
    ids, names = tiny_imagenet.classes(data)
    stated = record(NAME, model.config, ClassNames(tuple(names), tuple(ids)), "apache-2.0")
    weights = save(to_timm(parameters.values(model), model.config, "float16"))
    write_files(place, {WEIGHTS: weights, CONFIG: (json.dumps(stated, indent=1) + "\n").encode()})


def draw_curves(rows: list[dict], path: Path) -> None:
    """Loss and accuracy against steps, as one figure."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
    told = [row for row in rows if "loss" in row]
    left.plot([row["step"] for row in told], [row["loss"] for row in told], color="#0072b2")
    left.set(xlabel="step", ylabel="training loss")
    seen = [row for row in rows if "top1" in row]
    for name, color in (("top1", "#d55e00"), ("top5", "#009e73")):
        right.plot([row["step"] for row in seen], [row[name] for row in seen], color=color, marker=".", label=name)
    right.set(xlabel="step", ylabel="validation accuracy, %", ylim=(0, None))
    right.legend(frameon=False)
    for axis in (left, right):
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="folder of the training")
    parser.add_argument("--data", type=Path, required=True, help="folder with Tiny ImageNet")
    parser.add_argument("--to", type=Path, help="folder for the model, of any kind (default: vitjax/demo, a ViT)")
    args = parser.parse_args()
    model, settings = finished(args.run)
    place, results = args.to or ROOT / "vitjax" / "demo", args.run if args.to else RESULTS
    if args.to:
        model.card = card_of(model, str(place), "experiments.demo", "apache-2.0")
        export(model, place)
    else:
        write_demo(model, args.data, place)
        shutil.copy(args.run / "curve.jsonl", RESULTS)
    cache = args.run.with_name(f"{args.run.name}-data")
    found = train.accuracy(*tiny_imagenet.load(args.data, "val", cache))(vitjax.load(place))
    rows = [json.loads(line) for line in (args.run / "curve.jsonl").read_text().splitlines()]
    draw_curves(rows, results / "curves.png")
    record = settings | {name: round(value, 2) for name, value in found.items()}
    (results / "training.json").write_text(json.dumps(record, indent=1) + "\n")
    print(f"packed into {place}: top-1 {found['top1']:.2f} %, top-5 {found['top5']:.2f} % on validation")


if __name__ == "__main__":
    main()
