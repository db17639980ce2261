"""Trains a small model from scratch on Tiny ImageNet: the embedded `demo`, or a Swin.

    python -m experiments.demo.train --data FOLDER [--model swin] [--teacher MODEL] [--steps N] [--out runs/demo]

`pack.py` then puts a ViT into `vitjax/demo`. FOLDER holds Tiny ImageNet as zips or extracted (`train*`, `val*`,
`classes.tsv`). A run that was stopped goes on where its last checkpoint stands: it is `vitjax.train`'s, with a task
(`student.py`) and an optimizer of its own. With a teacher (any ViT that `vitjax.load` takes), layers that are thrown
away afterwards learn its tokens and classes (`distill.py`); no weight is the teacher's. Most patch tokens are dropped
in the first part of the training (Li et al. 2023, arXiv 2212.00794), which cuts its cost as much.
"""

import argparse
import dataclasses
import sys
from pathlib import Path

import numpy as np

import vitjax
from experiments.demo import distill, tiny_imagenet
from experiments.demo.optimizer import optimizer
from experiments.demo.settings import DEFAULTS, MODELS, Training
from experiments.demo.student import Student
from vitjax.data.files.arrays import in_memory
from vitjax.models.kernels.products import in_bfloat16
from vitjax.train import training as door
from vitjax.train.measure import Measure, measuring
from vitjax.train.run import run
from vitjax.train.settings import PRODUCTS, Running, Settings


def accuracy(images: np.ndarray, labels: np.ndarray) -> Measure:
    """Gives a function that measures a model's top-1 and top-5 accuracy in per cent on uint8 images."""
    measure = measuring(in_memory(images), labels)
    return lambda model: {name: 100 * share for name, share in measure(model).items() if name in ("top1", "top5")}


def prepared(config: Training, data: Path, teacher: str | None, out: Path) -> door.Training:
    """What `vitjax.train` is to run; images and what a teacher makes of them are kept in `out`."""
    cache = out.with_name(f"{out.name}-data")
    images, labels = tiny_imagenet.load(data, "train", cache)
    seen, truth = (array[: config.looked_at] for array in tiny_imagenet.load(data, "val", cache))
    arrays, student = {"labels": labels}, Student(config)
    if teacher:
        model = in_bfloat16(vitjax.load(teacher, image_size=config.teacher_size))
        kept_at, sizes = cache / f"teacher_{config.teacher_size}.npy", (model.config.width, model.config.classes)
        arrays["tokens"] = distill.tokens(model, images, config.taught, kept_at)
        student = Student(config, sizes, {"scale": distill.spread(arrays["tokens"]), "head": model.head})
    settings = Settings(
        batch=config.batch,
        epochs=config.steps * config.batch / len(images),
        warmup=0.0,
        average=config.average,
        least_crop=1.0,
        mirror=False,
        dtype=PRODUCTS,
        seed=config.seed,
    )
    return door.Training(
        "demo",
        student,
        config.config,
        settings,
        in_memory(images),
        arrays,
        about={"demo": dataclasses.asdict(config), "teacher": teacher and Path(teacher).name},
        measure=accuracy(seen, truth),
        optimizer=optimizer(config),
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with Tiny ImageNet")
    parser.add_argument("--teacher", help="ViT to distil from: a folder, a file or a hub id")
    parser.add_argument("--out", type=Path, default=Path("runs/demo"), help="where checkpoints and curves go")
    parser.add_argument("--model", choices=MODELS, default="vit", help="kind of model")
    for field in dataclasses.fields(Training)[1:]:
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=field.type, default=field.default)
    parser.set_defaults(**DEFAULTS.get(parser.parse_known_args()[0].model, {}))
    args = vars(parser.parse_args())
    data, teacher, out = args.pop("data"), args.pop("teacher"), args.pop("out")
    config = Training(**args)
    running = Running(save=10 * config.chunk, log=config.chunk, look=10 * config.chunk, tensorboard=False)
    return run(prepared(config, data, teacher, out), out, running)


if __name__ == "__main__":
    sys.exit(main())
