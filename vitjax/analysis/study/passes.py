"""Runs a function of (model, images) batch by batch on all local devices, each on its part of a batch."""

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Int, PyTree, UInt8

from vitjax.data.pipeline import Batches
from vitjax.models.core.execution import OVER_DATA
from vitjax.models.core.network import Network
from vitjax.models.core.surroundings import standard

IMAGE = "image"  # the mesh's axis
AHEAD = 2  # batches that may wait for the device: enough to keep it busy, few enough for memory


class Pace:
    """Lets the host run a few batches ahead of the devices, no further: what is queued lies in memory."""

    def __init__(self):
        self.waiting = deque()

    def __call__(self, result):
        """Takes note of a batch's result, waits for that of an earlier one, and gives `result` back."""
        self.waiting.append(result)
        if len(self.waiting) > AHEAD:
            jax.block_until_ready(self.waiting.popleft())
        return result


def mesh_for(size: int) -> Mesh:
    """A mesh of as many local devices as divide a batch of `size` images."""
    devices = jax.local_devices()
    count = max(n for n in range(1, len(devices) + 1) if size % n == 0)
    return jax.make_mesh((count,), (IMAGE,), axis_types=(AxisType.Auto,), devices=devices[:count])


def over(model: Network, size: int, function: Callable, **options) -> Callable:
    """Compiles `function(model, images, *arrays)` for batches of `size` images, shared out over the local devices.

    `function` gets images as float32 in [0, 1] and gives a pytree of arrays, all with the image axis first, as have
    the further arrays; every image is treated by itself, so nothing is exchanged. What comes back takes
    (images uint8 [image, h, w, 3], *arrays) and does not wait for the result.

    `options`, which have hashes, are passed on to `function`. A function that is defined once, not anew in each call,
    is compiled once for the same options and shapes.
    """
    mesh, given = mesh_for(size), tuple(sorted(options.items()))
    model = jax.device_put(model, NamedSharding(mesh, PartitionSpec()))

    @standard()
    def call(images: np.ndarray, *arrays: np.ndarray):
        images, arrays = jax.device_put((images, arrays), NamedSharding(mesh, PartitionSpec(IMAGE)))
        return _run(model, images, arrays, function=function, options=given, mesh=mesh)

    return call


@partial(jax.jit, static_argnames=("function", "options", "mesh"))
def _run(model: Network, images, arrays, *, function: Callable, options: tuple, mesh: Mesh):
    def part(model, images, arrays):
        model.execution = OVER_DATA
        return function(model, images.astype(jnp.float32) / 255, *arrays, **dict(options))

    whole, split = PartitionSpec(), PartitionSpec(IMAGE)
    return jax.shard_map(part, mesh=mesh, in_specs=(whole, split, split), out_specs=split, check_vma=False)(
        model, images, arrays
    )


def gather(
    model: Network,
    batches: Batches,
    function: Callable,
    known: Callable[[Int[np.ndarray, " image"]], Sequence[np.ndarray]] = lambda places: (),
    **options,
) -> tuple[Int[np.ndarray, " image"], PyTree[np.ndarray]]:
    """Runs `function(model, images, *arrays)`, as `over` takes it with its options, on every readable image.

    `known` gives further arrays of a batch by the places of its images, -1 among them where there is none.

    Returns:
        The images' places in the data set, and what the function gives for them, in that order.
    """
    run, pace, places, parts = over(model, batches.size, function, **options), Pace(), [], []
    for batch in batches:
        places.append(batch.place)
        parts.append(pace(run(batch.images, *known(batch.place))))
    place = np.concatenate(places)
    there = place >= 0
    return place[there], jax.tree.map(lambda *some: np.concatenate([np.asarray(x) for x in some])[there], *parts)


def on_pictures(
    model: Network, function: Callable, images: UInt8[np.ndarray, "picture h w 3"], *arrays, batch: int = 32, **options
):
    """Runs `function(model, images, *arrays)`, as `over` takes it, on pictures that lie in memory, batch by batch.

    Returns:
        What the function gives, a tuple of arrays with the pictures first, in their order.
    """
    size = min(batch, len(images))
    run, parts = over(model, size, function, **options), []
    for start in range(0, len(images), size):
        rows = np.minimum(np.arange(start, start + size), len(images) - 1)
        parts.append(run(images[rows], *(array[rows] for array in arrays)))
    return tuple(
        np.concatenate([np.asarray(part) for part in kind])[: len(images)] for kind in zip(*parts, strict=True)
    )
