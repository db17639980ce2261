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
from vitjax.errors import InputError
from vitjax.models.core.config import Preprocess, ViTConfig
from vitjax.train.classification import Classification
from vitjax.train.kept.checkpoints import Checkpoints
from vitjax.train.kept.result import RESULT
from vitjax.train.run import run
from vitjax.train.settings import PRETRAIN, Running, Settings
from vitjax.train.training import Training
from vitjax.weights.load import load
from vitjax.weights.parameters import values

CONFIG = ViTConfig(
    image_size=(16, 16), patch_size=(8, 8), width=16, depth=2, heads=2, mlp_width=32, classes=5,
    preprocess=Preprocess(crop=1.0),
)  # fmt: skip
SETTINGS = replace(PRETRAIN, batch=4, epochs=2.0, warmup=0.5, rate=0.1, average=0.9, seed=3)
RUNNING = Running(save=2, log=1, tensorboard=False)


def training(settings: Settings = SETTINGS, **changes) -> Training:
    """Six steps of four images on two epochs of twelve."""
    images = noise.dataset(12, 4, CONFIG).images
    what = {"arrays": {"labels": images.column.astype(np.int32)}, "given": noise.model(CONFIG), **changes}
    return Training("finetune", Classification(CONFIG), CONFIG, settings, images, **what)


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


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--die", type=int, default=0, metavar="STEP")
    parser.add_argument("--host", type=int, nargs=2, metavar=("I", "N"))
    parser.add_argument("--coordinator")
    args = parser.parse_args()
    die_at(args.die)
    if args.coordinator:
        jax.distributed.initialize(args.coordinator, num_processes=args.host[1], process_id=args.host[0])
    try:
        return run(training(), args.out, replace(RUNNING, shard_parameters=bool(args.coordinator)))
    except InputError as error:
        print(error)
        return 2


if __name__ == "__main__":
    sys.exit(main())
