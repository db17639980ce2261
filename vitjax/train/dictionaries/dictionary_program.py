"""The compiled step of a dictionary's training: images to tokens, tokens through the buffer, an update."""

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Int
from tqdm import tqdm

from vitjax.models.core.execution import OVER_DATA
from vitjax.models.core.network import Network
from vitjax.models.core.surroundings import key, standard
from vitjax.models.kernels.products import in_bfloat16
from vitjax.train.dictionaries.coder import Coder, begun, updated
from vitjax.train.dictionaries.tokens import KEPT, Buffer, exchanged, put, read
from vitjax.train.loop.mesh import among, copied, laid, on_devices, shared_out
from vitjax.train.loop.step import Program
from vitjax.train.settings import PRODUCTS, DictionarySettings

Batches = Iterator[dict[str, np.ndarray]]


class State(NamedTuple):
    """What a step makes of a step: the dictionary, the tokens that wait, and how many steps were taken."""

    coder: Coder
    buffer: Buffer
    step: Int[Array, ""]


@standard()
def program(
    model: Network,
    tap: str,
    settings: DictionarySettings,
    dtype: str,
    shape: tuple[int, int, int],
    steps: int,
    mesh: Mesh,
    first: Batches,
) -> Program:
    """Makes the functions of a training.

    Args:
        model: whose tap it is.
        tap: whose values are taken apart.
        settings: of the training.
        dtype: of products, settled for these devices.
        shape: of the buffer: tokens of a step, how many of them wait at each place, channels.
        steps: that there are.
        mesh: of the devices.
        first: batches of images that the buffer is filled with.
    """
    whole, split = copied(mesh), shared_out(mesh)
    model = in_bfloat16(jax.tree.map(lambda leaf: leaf, model)) if dtype == PRODUCTS else model.cast(dtype)
    model.execution = OVER_DATA
    model = laid(model, jax.tree.map(lambda _: whole, model))
    one = partial(_step, tap=tap, settings=settings, steps=steps, dtype=dtype)
    buffer = jax.ShapeDtypeStruct(shape, KEPT)
    begin = partial(_begun, settings=settings, steps=steps)
    shapes = jax.eval_shape(begin, buffer)
    places = State(jax.tree.map(lambda _: whole, shapes.coder), split, whole)
    step = jax.jit(one, donate_argnums=1, in_shardings=(whole, places, split), out_shardings=(places, whole))

    @among(mesh)
    @standard()
    def start() -> State:
        fill = jax.jit(
            partial(_filled, tap=tap, where=settings.where),
            donate_argnums=1,
            in_shardings=(whole, split, split, whole, whole),
            out_shardings=split,
        )
        held, random = jax.jit(partial(jnp.zeros, shape, KEPT), out_shardings=split)(), key(settings.seed)
        filling = tqdm(
            first,
            total=shape[1],
            desc="buffer",
            unit="step",
            dynamic_ncols=True,
            leave=False,
            disable=jax.process_index() > 0,
        )
        for depth, batch in enumerate(filling):
            held = fill(model, held, on_devices(batch, mesh)["images"], np.int32(depth), random)
        return jax.jit(begin, donate_argnums=0, in_shardings=split, out_shardings=places)(held)

    wanted = jax.tree.map(
        lambda leaf, place: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place), shapes, places
    )
    return Program(start, among(mesh)(standard()(partial(step, model))), wanted)


def _begun(buffer: Buffer, settings: DictionarySettings, steps: int) -> State:
    tokens = buffer.swapaxes(0, 1).reshape(-1, buffer.shape[-1])
    return State(begun(tokens, settings, steps, len(buffer)), buffer, jnp.zeros((), jnp.int32))


def _filled(model: Network, buffer: Buffer, images: Array, depth: Array, random: Array, tap: str, where: str) -> Buffer:
    return put(buffer, read(model, images, tap, where), depth, jax.random.fold_in(random, depth))


def _step(
    model: Network,
    state: State,
    batch: dict[str, Array],
    tap: str,
    settings: DictionarySettings,
    steps: int,
    dtype: str,
) -> tuple[State, dict[str, Array]]:
    fresh = read(model, batch["images"], tap, settings.where)
    random = jax.random.fold_in(key(settings.seed), state.step + 2**20)  # apart from those of the filling
    buffer, drawn = exchanged(state.buffer, fresh, random)
    coder, told = updated(state.coder, drawn, settings, steps, dtype)
    return State(coder, buffer, state.step + 1), told
