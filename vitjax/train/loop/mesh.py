"""Says where the arrays of a training lie: batches shared out over all devices, weights copied to each or split."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from vitjax.errors import InputError

DATA = "data"  # the mesh's only axis


def mesh(batch: int, parts: int = 1) -> Mesh:
    """Gives the mesh of all devices of all hosts.

    Args:
        batch: images of a step.
        parts: in which they are computed.

    Raises:
        InputError: a part does not come in as many equal parts as there are devices.
    """
    count = jax.device_count()
    if batch % (whole := count * parts):
        near, each = max(whole, round(batch / whole) * whole), "" if parts == 1 else f", in {parts} parts each"
        raise InputError(
            f"a batch of {batch} images is not shared out evenly over {count} devices{each} (nearest: {near})"
        )
    return jax.make_mesh((count,), (DATA,), axis_types=(AxisType.Auto,))


@contextmanager
def among(mesh: Mesh) -> Iterator[None]:
    """Lets what is traced within know the devices that arrays are shared out over, which kernels of ours have to.

    As a decorator it holds in every call.
    """
    with jax.set_mesh(mesh):
        yield


def copied(mesh: Mesh) -> NamedSharding:
    """Of an array that every device has."""
    return NamedSharding(mesh, PartitionSpec())


def shared_out(mesh: Mesh) -> NamedSharding:
    """Of a batch: its first axis over the devices."""
    return NamedSharding(mesh, PartitionSpec(DATA))


def placed(tree: Any, mesh: Mesh, split: bool) -> Any:
    """Gives the sharding of each array of a tree.

    Args:
        tree: arrays or shapes.
        mesh: of the devices.
        split: whether arrays are split over the devices, along their longest axis that comes in equal parts; the
            compiler then gathers a layer's weights when it needs them (ZeRO-3, FSDP). Copied are those without.
    """

    def one(leaf: Any) -> NamedSharding:
        axes = [axis for axis, side in enumerate(leaf.shape) if side and side % mesh.size == 0]
        if not split or not axes:
            return copied(mesh)
        longest = max(axes, key=lambda axis: leaf.shape[axis])
        return NamedSharding(mesh, PartitionSpec(*[DATA if axis == longest else None for axis in range(leaf.ndim)]))

    return jax.tree.map(one, tree)


def laid(tree: Any, places: Any) -> Any:
    """Lays arrays that every host has where they belong."""

    def one(leaf: Any, place: NamedSharding) -> jax.Array:
        whole = np.asarray(leaf)
        return jax.make_array_from_callback(whole.shape, place, lambda part: whole[part])

    return jax.tree.map(one, tree, places)


def on_devices(batch: dict[str, np.ndarray], mesh: Mesh) -> dict[str, jax.Array]:
    """Makes the whole batch of all hosts of this host's part."""
    return {name: jax.make_array_from_process_local_data(shared_out(mesh), part) for name, part in batch.items()}


def everywhere(tree: Any, mesh: Mesh) -> Any:
    """Copies a tree to every device, so that each host can read all of it."""
    return jax.jit(_same, out_shardings=copied(mesh))(tree)


def _same(tree: Any) -> Any:
    return tree
