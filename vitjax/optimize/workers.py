"""Paints batches of slots on all local devices, each of which is a worker that takes one batch after another.

A batch runs on one device, by a program that knows of no other: its pictures are the same to the byte however many
devices and hosts there are. A worker keeps to its tap while that has batches, then turns to one that no other worker
is at, so that each tap is compiled about once.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from queue import SimpleQueue
from threading import Event, Lock, Thread

import jax
import numpy as np
from jaxtyping import UInt8

from vitjax.errors import InputError
from vitjax.models.core.execution import PLAIN, Execution
from vitjax.models.core.network import Network, provenance
from vitjax.models.core.surroundings import standard
from vitjax.optimize import loop
from vitjax.optimize.beside.watch import NOTHING, Beside, Watch
from vitjax.optimize.objectives import Goal, objective_of
from vitjax.optimize.recipes import Recipe
from vitjax.optimize.results.pictures import Pictures, join
from vitjax.optimize.schedule.batches import Batch
from vitjax.optimize.schedule.handover import handed_over, scaled
from vitjax.optimize.schedule.plan import plan
from vitjax.optimize.schedule.sizes import Models
from vitjax.progress import News

Starts = Callable[[Sequence[Goal]], UInt8[np.ndarray, "slot h w 3"]]


@dataclass(frozen=True)
class Painted:
    """A finished batch.

    Attributes:
        batch: as it was given.
        pictures: of its goals; `pictures.batch` tells the slots used, fewer where memory ran out.
        device: that made them.
        seconds: in all; `looping` of them in the compiled steps, the rest is compiling, starting and finishing.
        looping: see `seconds`.
    """

    batch: Batch
    pictures: Pictures
    device: str
    seconds: float
    looping: float


@dataclass(frozen=True)
class Task:
    """What all batches have in common: see `paint` for its fields."""

    model: Network
    recipe: Recipe
    seed: int = 0
    chunk: int = 25
    execution: Execution = PLAIN
    starts: Starts | None = None
    watch: Watch = NOTHING


def run(
    task: Task,
    batches: Sequence[Batch],
    *,
    told: Callable[[News], None] = lambda _: None,
    enough: Event | None = None,
) -> Iterator[Painted]:
    """Runs batches on all local devices and yields each as it is finished, in no particular order.

    Args:
        task: what they have in common.
        batches: those that come first are begun first.
        told: hears of every chunk of steps, counted as `Leg.work` of each picture, and of what is compiled.
        enough: once set, no further batch is begun; those under way are finished and yielded.

    Raises:
        InputError: not even one slot fits into memory.
    """
    plan, said, abandon = _Plan(batches, enough or Event()), SimpleQueue(), Event()
    precision = jax.config.jax_default_matmul_precision  # a caller's `with` holds for its own thread alone

    def work(device: jax.Device) -> None:
        try:
            with jax.default_matmul_precision(precision), standard():
                worker, batch = None, plan.take(device, None)
                while batch is not None and not abandon.is_set():
                    worker = worker or _Worker(task, device, said.put, abandon)
                    said.put(worker.paint(batch))
                    batch = plan.take(device, batch.tap)
            said.put(None)
        except BaseException as error:
            said.put(error)

    devices = jax.local_devices()[: len(batches)]
    threads: list[Thread] = []
    try:  # whatever ends this, be it Ctrl-C while a thread starts: none is left behind within JAX
        for device in devices:
            threads.append(Thread(target=work, args=(device,), daemon=True))
            threads[-1].start()
        working = len(threads)
        while working:
            news = said.get()
            if isinstance(news, Painted):
                yield news
            elif isinstance(news, News):
                told(news)
            elif news is None:
                working -= 1
            elif not isinstance(news, _Abandoned):
                raise news
    finally:
        abandon.set()
        for thread in threads:
            if thread.is_alive():  # or it has not come to begin, and then sees that it is to end
                thread.join()


class _Abandoned(Exception):
    """Ends a worker between two chunks when nobody waits for its pictures."""


class _Plan:
    """Hands batches out to workers."""

    def __init__(self, batches: Sequence[Batch], enough: Event):
        self.waiting, self.enough, self.lock = list(batches), enough, Lock()
        self.at: dict[jax.Device, str] = {}

    def take(self, device: jax.Device, tap: str | None) -> Batch | None:
        """The next batch for a worker that was last at `tap`."""
        with self.lock:
            if self.enough.is_set() or not self.waiting:
                return None
            others = {at for worker, at in self.at.items() if worker is not device}
            same = (batch for batch in self.waiting if batch.tap == tap)
            free = (batch for batch in self.waiting if batch.tap not in others)
            batch = next(same, None) or next(free, None) or self.waiting[0]
            self.waiting.remove(batch)
            self.at[device] = batch.tap
            return batch


class _Worker:
    """Paints batches on one device."""

    def __init__(self, task: Task, device: jax.Device, tell: Callable[[News], None], abandon: Event):
        self.task, self.device, self.tell, self.abandon = task, device, tell, abandon
        self.models, self.taps = Models(task.model, device), task.model.taps()
        self.most: dict[str, int] = {}  # slots that memory has room for, where it ran out
        self.compiled: set[tuple] = set()  # programs, with their slots

    def paint(self, batch: Batch) -> Painted:
        """Paints a batch, in several parts where memory runs out."""
        clock, looping, parts, goals = time.perf_counter(), 0.0, [], list(batch.goals)
        while goals:
            slots, self.told = min(batch.slots, self.most.get(batch.tap, batch.slots)), 0.0
            try:
                pictures, seconds = self._optimise(goals[:slots], slots)
            except jax.errors.JaxRuntimeError as error:
                if "RESOURCE_EXHAUSTED" not in str(error):
                    raise
                if slots == (least := self.task.recipe.together):
                    raise InputError(
                        f"no memory on {self.device} for even {slots} {'picture' if slots == 1 else 'pictures'} of"
                        f" {batch.tap}: use fewer views (--set views=N), --remat or --dtype bfloat16"
                    ) from None
                self.tell(News(-self.told))  # it is done again
                self.most[batch.tap] = max(slots // 2 // least, 1) * least
                continue
            parts.append(pictures)
            looping += seconds
            goals = goals[slots:]
        whole = replace(join(parts, batch.goals), batch=min(part.batch for part in parts))
        name = f"{self.device.device_kind} {self.device.id}"
        return Painted(batch, whole, name, time.perf_counter() - clock, looping)

    def _optimise(self, goals: Sequence[Goal], slots: int) -> tuple[Pictures, float]:
        """The pictures of at most `slots` goals, and the seconds spent in compiled steps."""
        task, count = self.task, len(goals)
        padded = [*goals, *[goals[-1]] * (slots - count)]
        execution, objective = task.execution.on(self.device.platform), objective_of(goals[0])
        aims = jax.device_put(loop.aims(padded, self.taps, task.seed, task.recipe.row), self.device)
        state, before, history, looping = None, None, [], 0.0
        legs = plan(task.recipe, task.model.config, objective)
        beside = Beside(task.watch, sum(leg.recipe.steps for leg in legs), legs[-1].config.image_size)
        for number, leg in enumerate(legs):
            model, program = self.models.at(leg.config), loop.program(leg.recipe, objective, task.chunk, execution)
            if before is None:
                images = task.starts and jax.device_put(scaled(task.starts(padded), leg.config.image_size), self.device)
                state = loop.start(model, aims, images, recipe=leg.recipe)
            else:
                state = handed_over(state, before=before, after=leg)
            mine, before = loop.during_stage(aims, number), leg
            watched = beside.begin(leg.recipe.steps, slots, leg.config.image_size, leg.config.channels)
            state = state._replace(watched=jax.device_put(watched, self.device))
            for call in range(program.calls):
                if self.abandon.is_set():
                    raise _Abandoned
                if new := (program, slots, leg.config) not in self.compiled:
                    self.tell(News(compiling=objective.tap))
                begun = time.perf_counter()
                state, happened = loop.advance(model, state, mine, program=program)  # compiles, then only begins
                clock = time.perf_counter()
                jax.block_until_ready(happened)
                looping += (ended := time.perf_counter()) - clock
                if new:
                    self.compiled.add((program, slots, leg.config))
                    self.tell(News(compiled=clock - begun))
                done = min(program.chunk, leg.recipe.steps - call * program.chunk)
                history.append(jax.tree.map(lambda values, done=done: np.asarray(values)[:done], happened))
                self.told += (work := done * count * leg.work)
                self.tell(News(work, 0 if new else ended - begun))
            beside.end(state.watched)
        finished, activation = loop.finish(model, state, aims, program=program)
        frames = beside.frames(np.asarray(finished))
        return Pictures(
            images=np.asarray(finished)[:count],
            units=list(goals),
            activation=np.asarray(activation)[:count],
            history={
                key: np.concatenate([getattr(part, key) for part in history])[:, :count].T
                for key in loop.History._fields
            },
            recipe=task.recipe,
            seed=task.seed,
            model=provenance(task.model),
            batch=slots,
            dtype=str(task.model.dtype),
            frames=None if frames is None else frames[:count],
            alpha=None if beside.slopes is None else beside.slopes[:count],
        ), looping
