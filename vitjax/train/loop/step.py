"""The compiled step of a training: loss, gradients, update, mean over steps."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax import lax
from jax.sharding import Mesh

from vitjax.models.core.network import Network
from vitjax.models.core.surroundings import key, standard
from vitjax.models.kernels.products import in_bfloat16
from vitjax.train.loop.mesh import among, copied, laid, placed, shared_out
from vitjax.train.loop.moving import of_parameters, with_moving
from vitjax.train.loop.optimizer import optimizer, schedule
from vitjax.train.settings import PRODUCTS, Settings
from vitjax.train.task import Batch, Learned, Task


class State(NamedTuple):
    """What a step makes of a step.

    Attributes:
        learned: float32.
        optimizer: its moments.
        average: mean of `learned` over steps; None where none is taken.
        step: how many were taken, int32.
    """

    learned: Learned
    optimizer: optax.OptState
    average: Learned | None
    step: jax.Array

    @property
    def result(self) -> Learned:
        """What counts: the mean over steps if one is taken."""
        return self.learned if self.average is None else self.average


Advance = Callable[[State, Batch], tuple[State, dict[str, jax.Array]]]


@dataclass(frozen=True)
class Program:
    """A training, compiled.

    Attributes:
        start: gives the state before the first step.
        advance: takes a step, and gives numbers for the curve: the loss, those of the task, the gradient's norm, and
            the rate unless the optimizer is another. The state it is given is used up. Images are uint8.
        shapes: of the state, with where each array lies.
    """

    start: Callable[[], State]
    advance: Advance
    shapes: Any


@standard()
def program(
    task: Task,
    settings: Settings,
    dtype: str,
    images: int,
    mesh: Mesh,
    split: bool = False,
    given: Network | None = None,
    transform: optax.GradientTransformation | None = None,
) -> Program:
    """Makes the functions of a training.

    Args:
        task: what is learned.
        settings: of the training.
        dtype: of computing: that of the settings, settled for these devices.
        images: how many there are.
        mesh: of the devices.
        split: whether weights are split over them.
        given: the model to begin with, in place of the task's at random.
        transform: the optimizer; default that of the settings.
    """
    begin = lambda: task.start(nnx.Rngs(key(settings.seed)))
    learned = jax.eval_shape(begin)
    if given is not None:
        learned.model = jax.eval_shape(lambda: given)
    rate = None if transform else schedule(settings, images)
    transform = with_moving(transform or optimizer(settings, learned, images), learned)
    shapes = State(learned, *jax.eval_shape(partial(_around, transform, settings), learned))
    places = placed(shapes, mesh, split)
    step = jax.jit(
        partial(_step, task, settings, dtype, transform, rate),
        donate_argnums=0,
        in_shardings=(places, shared_out(mesh)),
        out_shardings=(places, copied(mesh)),
    )
    wanted = jax.tree.map(
        lambda leaf, place: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place), shapes, places
    )

    @standard()
    def start() -> State:
        if given is None:
            learned = jax.jit(begin, out_shardings=places.learned)()
        else:  # which is no constant of a program
            learned = jax.jit(lambda: _with_model(begin(), None), out_shardings=_with_model(places.learned, None))()
            learned.model = laid(given, places.learned.model)
        around = jax.jit(partial(_around, transform, settings), out_shardings=(*places[1:],))
        return State(learned, *around(learned))

    return Program(start, among(mesh)(standard()(step)), wanted)


def computing(learned: Learned, dtype: str) -> Learned:
    """What is learned, in the dtype of computing."""
    if dtype == PRODUCTS:
        return in_bfloat16(jax.tree.map(lambda leaf: leaf, learned))
    floats = lambda leaf: leaf.astype(dtype) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf
    return jax.tree.map(floats, learned)


def shown(learned: Learned, batch: Batch) -> Batch:
    """A batch as tasks take it, its images normalised, if it has any."""
    if "images" not in batch:
        return batch
    return {**batch, "images": learned.model.normalise(batch["images"].astype(jnp.float32) / 255)}


def _with_model(learned: Learned, model: Network | None) -> Learned:
    copy = jax.tree.map(lambda leaf: leaf, learned)
    copy.model = model
    return copy


def _around(transform: optax.GradientTransformation, settings: Settings, learned: Learned) -> tuple:
    """The rest of a state before its first step."""
    average = jax.tree.map(jnp.copy, learned) if settings.average else None
    return transform.init(learned), average, jnp.zeros((), jnp.int32)


def _step(
    task: Task,
    settings: Settings,
    dtype: str,
    transform: optax.GradientTransformation,
    rate: optax.Schedule | None,
    state: State,
    batch: Batch,
) -> tuple[State, dict[str, jax.Array]]:
    def loss_of(learned: Learned, batch: Batch, key: jax.Array):
        learned = computing(learned, dtype)  # a copy
        learned.train()
        return task.loss(learned, {**shown(learned, batch), "step": state.step}, key)

    def part(carried: tuple[Learned, optax.OptState], given: tuple[Batch, jax.Array]):
        learned, moments = carried
        (loss, more), grads = jax.value_and_grad(loss_of, has_aux=True)(learned, *given)
        updates, moments = transform.update(grads, moments, learned)
        return (optax.apply_updates(learned, updates), moments), {
            "loss": loss, **more, "gradient": optax.tree.norm(of_parameters(grads))
        }  # fmt: skip

    carried, this = (state.learned, state.optimizer), jax.random.fold_in(key(settings.seed), state.step)
    if settings.accumulate == 1:
        (learned, moments), told = part(carried, (batch, this))
    else:
        parts = jax.tree.map(lambda x: x.reshape(-1, settings.accumulate, *x.shape[1:]).swapaxes(0, 1), batch)
        (learned, moments), told = lax.scan(part, carried, (parts, jax.random.split(this, settings.accumulate)))
        told = jax.tree.map(lambda x: x.mean(axis=0), told)
    average = state.average
    if average is not None:
        keep = jnp.minimum(settings.average, (1 + state.step) / (10 + state.step))
        average = optax.incremental_update(learned, average, 1 - keep)
    told |= {"rate": rate(state.step)} if rate else {}
    return State(learned, moments, average, state.step + 1), told
