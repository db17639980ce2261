"""A small training that tests start, in their process or in another: `python -m tests.support.training OUT …`."""

import argparse
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np

from tests.support import noise
from vitjax.errors import AGAIN, InputError
from vitjax.models.core.config import Preprocess, ViTConfig
from vitjax.train.classification import Classification
from vitjax.train.kept.checkpoints import Checkpoints
from vitjax.train.run import run
from vitjax.train.settings import PRETRAIN, Regularization, Running, Settings
from vitjax.train.training import Training
from vitjax.weights.formats.names import RESULT
from vitjax.weights.load import load
from vitjax.weights.parameters import values

CONFIG = ViTConfig(
    image_size=(16, 16), patch_size=(8, 8), width=16, depth=2, heads=2, mlp_width=32, classes=5,
    preprocess=Preprocess(crop=1.0),
)  # fmt: skip
SETTINGS = replace(
    PRETRAIN, batch=4, epochs=2.0, warmup=0.5, rate=0.1, average=0.9, seed=3, randaugment=9.0, erase=0.5, repeats=2
)
REGULARIZATION = Regularization(drop_path=0.3, mixup=0.8, cutmix=1.0)
RUNNING = Running(save=2, log=1, tensorboard=False)


def training(settings: Settings = SETTINGS, config: ViTConfig = CONFIG, **changes) -> Training:
    """Six steps of four images on two epochs of twelve."""
    images = noise.dataset(12, 4, config).images
    what = {"arrays": {"labels": images.column.astype(np.int32)}, "given": noise.model(config), **changes}
    return Training("train", Classification(config, REGULARIZATION), config, settings, images, **what)


def weights(out: Path) -> dict[str, np.ndarray]:
    """What came of a run."""
    return values(load(out / RESULT))


def die_at(step: int) -> None:
    """Has this process killed, as by `kill -9`, when it has begun to write the checkpoint of a step."""
    save = Checkpoints.save

    def deadly(self, at, state):
        save(self, at, state)
        if at == step:
            os.kill(os.getpid(), signal.SIGKILL)

    Checkpoints.save = deadly


def stop_at(step: int) -> None:
    """Has this process asked to stop, by SIGTERM, after the checkpoint of a step."""
    save = Checkpoints.save

    def asked(self, at, state):
        save(self, at, state)
        if at == step:
            signal.raise_signal(signal.SIGTERM)

    Checkpoints.save = asked


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--die", type=int, default=0, metavar="STEP")
    parser.add_argument("--stop", type=int, default=0, metavar="STEP", help="and go on from it")
    parser.add_argument("--host", type=int, nargs=2, metavar=("I", "N"))
    parser.add_argument("--coordinator")
    args = parser.parse_args()
    die_at(args.die)
    stop_at(args.stop)
    if args.coordinator:
        jax.distributed.initialize(args.coordinator, num_processes=args.host[1], process_id=args.host[0])
    running = replace(RUNNING, shard_parameters=bool(args.coordinator))
    try:
        if args.stop and run(training(), args.out, running) != AGAIN:
            return 1
        return run(training(), args.out, running)
    except InputError as error:
        print(error)
        return 2


if __name__ == "__main__":
    sys.exit(main())
