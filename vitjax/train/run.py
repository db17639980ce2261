"""Runs a training from wherever its folder stands to the end, or until it is asked to stop."""

import math
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jaxtyping import Int
from tqdm import tqdm

from vitjax.data.files.images import Images, checksum
from vitjax.errors import AGAIN, InputError
from vitjax.models.core.class_names import NAMELESS, ClassNames
from vitjax.models.core.network import Network
from vitjax.models.core.preprocess import Input
from vitjax.models.core.surroundings import key
from vitjax.models.registry import Config
from vitjax.optimize.results.sheets import contact_sheet
from vitjax.stop import Stop, stopped_by_signals
from vitjax.train.feed.feed import Feed
from vitjax.train.kept.checkpoints import Checkpoints, kept
from vitjax.train.kept.curve import Curve
from vitjax.train.kept.identity import agree
from vitjax.train.kept.result import written
from vitjax.train.loop.mesh import everywhere, mesh, on_devices
from vitjax.train.loop.step import Program, State, program, shown
from vitjax.train.settings import AUTO, Running, Settings
from vitjax.train.task import Learned, Task
from vitjax.weights.cache import described
from vitjax.weights.dtypes import suited

AHEAD = 2  # steps that may wait for the devices
LOOKED_AT = 8  # images whose pictures are shown
FINISHED = "result.json"


@dataclass(frozen=True)
class Training:
    """What is trained, on what.

    Attributes:
        name: of the command, e.g. "pretrain".
        task: what is learned.
        config: of the model; says how images are prepared.
        settings: of the training.
        images: what there is.
        labels: their classes, if they have any.
        about: what else decides what is learned, as JSON has it.
        given: the model to begin with, in place of the task's at random.
        class_names: of the model's head.
        measure: what is said of the finished model, e.g. its accuracy.
    """

    name: str
    task: Task
    config: Config
    settings: Settings
    images: Images
    labels: Int[np.ndarray, " image"] | None = None
    about: Mapping[str, Any] = field(default_factory=dict)
    given: Network | None = None
    class_names: ClassNames = NAMELESS
    measure: Callable[[Network], Mapping[str, float]] | None = None

    @property
    def steps(self) -> int:
        """How many there are."""
        return self.settings.steps(len(self.images))

    def feed(self) -> Feed:
        """The batches."""
        chosen, here = self.settings, (jax.process_index(), jax.process_count())
        how = {"least_crop": chosen.least_crop, "mirror": chosen.mirror, "seed": chosen.seed}
        return Feed(self.images, Input.of(self.config), chosen.batch, self.steps, self.labels, shard=here, **how)

    def identity(self) -> dict[str, Any]:
        """All that decides what is learned."""
        images = {"images": len(self.images), "names": checksum(self.images.names)}
        model = {"kind": type(self.config).__name__, "config": described(self.config)}
        return {"training": self.name, "settings": asdict(self.settings), "model": model, "data": images, **self.about}


def run(training: Training, out: Path, running: Running) -> int:
    """Trains, or goes on with what is in the folder; gives the exit code.

    Args:
        training: what is trained.
        out: the folder of the run.
        running: how.

    Raises:
        InputError: the folder holds something else, a checkpoint is damaged, the batch does not fit the devices, or the
            loss is not finite at some step.
    """
    settings, first = training.settings, jax.process_index() == 0
    devices = mesh(settings.batch // settings.accumulate)
    agree(out, training.identity(), write=first)
    dtype = suited(jax.local_devices()[0]) if settings.dtype == AUTO else settings.dtype
    how = {"split": running.shard_parameters, "given": training.given}
    made = program(training.task, settings, dtype, len(training.images), devices, **how)
    with kept(out, running.keep) as checkpoints, stopped_by_signals() as stop:
        begun = checkpoints.last
        state = made.start() if begun is None else checkpoints.restore(made.shapes)
        with _Teller(training, out, int(state.step), running) if first else nullcontext() as teller:
            state, stopped = _steps(training, made, state, running, checkpoints, teller, stop)
        learned = here(state.result, devices)
    if stopped:
        if first:
            print(f"vitjax: stopped; run the same command again to go on with {out}", file=sys.stderr)
        return AGAIN
    if first:
        learned.model.class_names = training.class_names
        about = {"training": training.name, "steps": training.steps}
        return written(learned.model, out, f"vitjax {training.name}", about, FINISHED, training.measure)
    return 0


def here(learned: Learned, devices: jax.sharding.Mesh) -> Learned:
    """What is learned, all of it on this host's first device."""
    return jax.tree.map(lambda leaf: leaf.addressable_data(0), everywhere(learned, devices))


def _steps(
    training: Training,
    made: Program,
    state: State,
    running: Running,
    checkpoints: Checkpoints,
    teller: "_Teller | None",
    stop: Stop,
) -> tuple[State, bool]:
    """Takes the steps that are left; gives the last state, and whether that was asked for before the end."""
    devices, done, last, waiting, stopped = mesh(training.settings.batch), int(state.step), training.steps, [], False
    with closing(training.feed().begin(done)) as batches:
        for batch in batches:
            state, told = made.advance(state, on_devices(batch, devices))
            done += 1
            waiting.append((done, told))
            if len(waiting) > AHEAD:
                jax.block_until_ready(waiting[-1 - AHEAD][1])
            telling = done == last or done % running.log == 0
            stopped = _agreed(stop.asked.is_set(), telling)
            saving = stopped or done == last or done % running.save == 0
            if saving or telling:
                _checked(waiting, checkpoints)
                if teller:
                    teller.tell(waiting)
                waiting = []
            if saving:
                checkpoints.save(done, state)
            if done % running.look == 0 or done == last:
                _look(training, state, batch, devices, checkpoints.folder)
            if stopped and done < last:
                return state, True
    return state, False


def _agreed(asked: bool, now: bool) -> bool:
    """Whether any host was asked to stop: on all hosts at the same step, so several ask each other `now` alone."""
    if jax.process_count() == 1 or not now:
        return asked and jax.process_count() == 1
    return bool(multihost_utils.process_allgather(np.array(asked)).any())


def _checked(waiting: list[tuple[int, dict]], checkpoints: Checkpoints) -> None:
    """Raises an InputError that names the first step whose loss or gradient is not finite."""
    for step, told in waiting:
        if not (math.isfinite(told["loss"]) and math.isfinite(told["gradient"])):
            there = f"the checkpoint of step {checkpoints.last}" if checkpoints.last else "no checkpoint yet"
            raise InputError(
                f"at step {step} the loss is {float(told['loss']):g}, the gradient {float(told['gradient']):g};"
                f" {checkpoints.folder} keeps {there}: begin another with a lower --rate, --clip 1 or --dtype float32"
            )


def _look(training: Training, state: State, batch: dict, devices: jax.sharding.Mesh, folder: Path) -> None:
    """Writes pictures of what is learned, if the task has any."""
    learned = here(state.result, devices)
    if jax.process_index():
        return
    some = {name: jax.numpy.asarray(part[:LOOKED_AT]) for name, part in batch.items()}
    pictures = training.task.samples(learned, shown(learned, some), key(training.settings.seed))
    if pictures is not None:
        (folder / "samples").mkdir(exist_ok=True)
        sheet = contact_sheet(pictures, [""] * len(pictures), LOOKED_AT)
        sheet.save(folder / "samples" / f"{int(state.step):07}.webp", quality=80)


class _Teller:
    """Says how a training goes: a line on the terminal, and the curve.

    Args:
        training: that runs.
        out: its folder.
        done: steps that were taken before.
        running: how.
    """

    def __init__(self, training: Training, out: Path, done: int, running: Running):
        self.training, self.curve = training, Curve(out, done, running.tensorboard, running.wandb, training.identity())
        self.bar = tqdm(total=training.steps, initial=done, desc=training.name, unit="step", dynamic_ncols=True)
        self.clock, self.before = time.perf_counter(), self.curve.seconds

    def __enter__(self) -> "_Teller":
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()
        self.curve.close()

    def tell(self, steps: list[tuple[int, dict]]) -> None:
        """Tells of the steps since the last time: the means of what they gave."""
        numbers = {name: float(np.mean([float(told[name]) for _, told in steps])) for name in steps[0][1]}
        now, step = time.perf_counter(), steps[-1][0]
        spent, self.clock = now - self.clock, now
        self.before += spent
        rate = len(steps) * self.training.settings.batch / spent
        epoch = step * self.training.settings.batch / len(self.training.images)
        self.curve.add(step, {"epoch": epoch, **numbers, "images_per_second": rate, "seconds": self.before})
        self.bar.update(step - self.bar.n)
        self.bar.set_postfix_str(f"loss {numbers['loss']:.4f}, {rate:.0f} images/s, epoch {epoch:.1f}")
