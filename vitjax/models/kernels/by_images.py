"""Runs a kernel over images that lie on several devices: XLA, which shares out all else, cannot take a kernel apart."""

from collections.abc import Callable, Sequence
from math import prod

import jax
from jax import lax
from jax.sharding import AxisType, PartitionSpec


def by_images(
    kernel: Callable[..., Sequence[jax.Array]],
    images: Sequence[jax.Array],
    whole: Sequence[jax.Array] = (),
    summed: int = 0,
) -> list[jax.Array]:
    """Runs a kernel; where a mesh is set whose axes XLA shares arrays out over, every device runs it over its images.

    Args:
        kernel: from `images` and `whole` to several arrays.
        images: arrays whose first axis is of images, or of parts of these, one after another.
        whole: arrays that every device has.
        summed: how many of the last results are sums over images; all others have an axis of these first.
    """
    mesh = jax.sharding.get_abstract_mesh()
    axes = tuple(name for name, kind in zip(mesh.axis_names, mesh.axis_types, strict=True) if kind == AxisType.Auto)
    devices = prod(mesh.shape[axis] for axis in axes)
    if devices == 1:
        return list(kernel(*images, *whole))
    if any(len(one) % devices for one in images):
        axes = ()  # each device has all of them, and its own result

    def on_device(*arrays: jax.Array) -> tuple[list[jax.Array], list[jax.Array]]:
        found = list(kernel(*arrays))
        kept = len(found) - summed
        return found[:kept], [lax.psum(one, axes) for one in found[kept:]]

    apart, together = PartitionSpec(axes), PartitionSpec()
    places = (apart,) * len(images) + (together,) * len(whole)
    run = jax.shard_map(on_device, mesh=mesh, in_specs=places, out_specs=(apart, together), check_vma=False)
    parts, sums = run(*images, *whole)
    return [*parts, *sums]
