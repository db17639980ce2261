"""Runs a training from wherever its folder stands to the end, or until it is asked to stop."""

import math
import sys
from collections.abc import Callable, Mapping
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh

from vitjax.errors import AGAIN, InputError
from vitjax.stop import Stop, stopped_by_signals
from vitjax.train.kept.checkpoints import Checkpoints, kept
from vitjax.train.kept.identity import agree, alone
from vitjax.train.kept.result import written
from vitjax.train.kept.teller import Teller
from vitjax.train.looks import here, look
from vitjax.train.loop.mesh import mesh, on_devices
from vitjax.train.loop.step import Program, program
from vitjax.train.settings import AUTO, Running
from vitjax.train.training import Course, Training
from vitjax.weights.dtypes import suited

AHEAD = 2  # steps that may wait for the devices
FINISHED = "result.json"
Looking = Callable[..., Mapping[str, float]]  # of the state, a batch, the devices, the folder, whether it was the last


def run(training: Training, out: Path, running: Running) -> int:
    """Trains, or goes on with what is in the folder; gives the exit code.

    Args:
        training: what is trained.
        out: the folder of the run.
        running: how.

    Raises:
        InputError: the folder holds something else, another process trains in it, a checkpoint is damaged, the batch
            does not fit the devices, or the loss is not finite at some step.
    """
    settings = training.settings
    devices = mesh(settings.batch, settings.accumulate)
    dtype = suited(jax.local_devices()[0]) if settings.dtype == AUTO else settings.dtype
    how = {"split": running.shard_parameters, "given": training.given, "transform": training.optimizer}
    made = program(training.task, settings, dtype, len(training.images), devices, **how)
    looking = lambda *seen: look(training, *seen)
    state = carried_out(training, made, devices, out, running, looking)
    if state is None:
        return AGAIN
    learned = here(state.result, devices)
    if jax.process_index() == 0:
        learned.model.class_names = training.class_names
        about = {"training": training.name, "steps": training.steps}
        trainer, measure = f"vitjax {training.name}", training.measure
        return written(learned.model, out, trainer, about, FINISHED, measure, training.export)
    return 0


def carried_out(
    course: Course, made: Program, devices: Mesh, out: Path, running: Running, looking: Looking = lambda *_: {}
) -> Any | None:
    """Takes the steps that the run in a folder lacks, and keeps checkpoints and a curve there.

    Args:
        course: what is carried out.
        made: its compiled step.
        devices: that batches are shared out over.
        out: the folder.
        running: how.
        looking: looks at the state on the way; what it measures goes into the curve.

    Returns:
        The last state; None where it was asked to stop before, which it says.

    Raises:
        InputError: as of `run`.
    """
    first = jax.process_index() == 0
    agree(out, course.identity(), write=first)  # after all that may be found wrong before a step is taken
    with (
        alone(out) if first else nullcontext(),
        kept(out, running.keep) as checkpoints,
        stopped_by_signals() as stop,
    ):
        begun = checkpoints.last
        state = made.start() if begun is None else checkpoints.restore(made.shapes)
        with Teller(course, out, int(state.step), running) if first else nullcontext() as teller:
            state, stopped = _steps(course, made, devices, state, running, checkpoints, teller, stop, looking)
    if stopped and first:
        print(f"vitjax: stopped; run the same command again to go on with {out}", file=sys.stderr)
    return None if stopped else state


def _steps(
    course: Course,
    made: Program,
    devices: Mesh,
    state: Any,
    running: Running,
    checkpoints: Checkpoints,
    teller: Teller | None,
    stop: Stop,
    looking: Looking,
) -> tuple[Any, bool]:
    """Takes the steps that are left; gives the last state, and whether that was asked for before the end."""
    done, last, waiting, stopped = int(state.step), course.steps, [], False
    with closing(course.feed().begin(done)) as batches:
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
            if done == last or done % running.look == 0:
                measured = looking(state, batch, devices, checkpoints.folder, done == last)
                if teller and measured:
                    teller.curve.add(done, measured)
            if stopped and done < last:
                return state, True
    return state, False


def _agreed(asked: bool, now: bool) -> bool:
    """Whether any host was asked to stop: on all hosts at the same step, so several ask each other `now` alone."""
    if jax.process_count() == 1:
        return asked
    return now and bool(multihost_utils.process_allgather(np.array(asked)).any())


def _checked(waiting: list[tuple[int, dict]], checkpoints: Checkpoints) -> None:
    """Raises an InputError that names the first step whose loss or gradient is not finite."""
    for step, told in waiting:
        if not (math.isfinite(told["loss"]) and math.isfinite(told["gradient"])):
            there = f"the checkpoint of step {checkpoints.last}" if checkpoints.last else "no checkpoint yet"
            raise InputError(
                f"at step {step} the loss is {float(told['loss']):g}, the gradient {float(told['gradient']):g};"
                f" {checkpoints.folder} keeps {there}: begin another with a lower --rate, --clip 1 or --dtype float32"
            )
