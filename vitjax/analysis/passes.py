"""A function of (model, images) in, the same over all local devices out: each runs it on its part of a batch."""

from collections import deque
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from vitjax.models.vit import ViT

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


def over(model: ViT, size: int, function: Callable) -> Callable:
    """Compiles `function(model, images, *arrays)` for batches of `size` images, shared out over the local devices.

    `function` gets images as float32 in [0, 1] and gives a pytree of arrays, all with the image axis first, as have
    the further arrays; every image is treated by itself, so nothing is exchanged. What comes back takes
    (images uint8 [image, h, w, 3], *arrays) and does not wait for the result.
    """
    mesh = mesh_for(size)
    whole, split = PartitionSpec(), PartitionSpec(IMAGE)
    model = jax.device_put(model, NamedSharding(mesh, whole))

    @jax.jit
    def run(model, images, arrays):
        part = lambda model, images, arrays: function(model, images.astype(jnp.float32) / 255, *arrays)
        return jax.shard_map(part, mesh=mesh, in_specs=(whole, split, split), out_specs=split, check_vma=False)(
            model, images, arrays
        )

    def call(images: np.ndarray, *arrays: np.ndarray):
        return run(model, *jax.device_put((images, arrays), NamedSharding(mesh, split)))

    return call
