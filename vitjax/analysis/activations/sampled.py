"""Samples activations of some taps: of each image a few random patches, and the second moment of all of them.

Which patches depends on the seed and the image's place in the data set alone, so that batches, devices and hosts change
nothing. Memory grows with the samples: four bytes a channel and sample, for each tap.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from threading import Event

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float, Int

from vitjax.analysis.study.passes import IMAGE, Pace, mesh_for
from vitjax.data.dataset import Dataset
from vitjax.errors import InputError, Stopped
from vitjax.models.core.execution import OVER_DATA
from vitjax.models.core.network import Network
from vitjax.models.core.surroundings import key, standard
from vitjax.models.core.tap_site import Site
from vitjax.units.select import at_tokens
from vitjax.units.units import check_tap

SAVED_EVERY = 600.0  # seconds between two saves


@dataclass(frozen=True)
class Sample:
    """Activations of some taps, as far as a pass has come: one host's part, or all of them.

    Attributes:
        place: of each image in the data set.
        token: {tap: which patches of each image, row by row on the tap's grid}.
        value: {tap: the activations there}.
        moment: {tap: the sum of h h^T over all patches of all images}, float64.
        patches: {tap: how many these were}.
        done: batches that are in it; `complete` whether that is all.
    """

    place: Int[np.ndarray, " image"]
    token: Mapping[str, Int[np.ndarray, "image draw"]]
    value: Mapping[str, Float[np.ndarray, "image draw channel"]]
    moment: Mapping[str, Float[np.ndarray, "channel channel"]]
    patches: Mapping[str, int] = field(default_factory=dict)
    done: int = 0
    complete: bool = False


def check(taps: Sequence[str], sites: Mapping[str, Site], per_image: int) -> None:
    """Raises an InputError for a tap that has no patches of channels alone, or more samples than patches."""
    for tap in taps:
        check_tap(tap, sites)
        site = sites[tap]
        if site.grid is None or not site.places or len(site.units) != 1 or site.axes[-1] != "channel":
            raise InputError(
                f"{tap} has the axes {', '.join(site.axes)}: an atlas of activations is of patches with channels alone,"
                " such as resid_post or mlp.hidden"
            )
        if per_image > (most := math.prod(site.grid)):
            raise InputError(f"{per_image} patches of an image cannot be drawn, {tap} has {most}")


def patches_of(seed: int, place: Int[Array, " image"], per_image: int, patches: int) -> Int[Array, "image draw"]:
    """Draws patches of images: different ones of each, by the seed and the image's place alone."""
    draw = lambda one: jax.random.permutation(jax.random.fold_in(key(seed), one), patches)[:per_image]
    return jax.vmap(draw)(jnp.maximum(place, 0))


@standard()
def sampled(
    model: Network,
    data: Dataset,
    taps: Sequence[str],
    *,
    per_image: int = 1,
    seed: int = 0,
    begun: Sample | None = None,
    keep: Callable[[Sample], None] = lambda _: None,
    enough: Event | None = None,
) -> Sample:
    """Samples this host's part of the images, `data.shard`; goes on with what was `begun`.

    Args:
        model: any; the forward pass stops after the last tap.
        data: the images.
        taps: whose values are meant.
        per_image: patches of each image.
        seed: of the draw.
        begun: an earlier pass's, over the same images in batches of the same size.
        keep: is given what there is every ten minutes, when it is stopped, and at the end.
        enough: once set, the batch under way is finished, what there is is kept, and the pass ends.

    Raises:
        InputError: taps that cannot be sampled, see `check`, or a model that gives NaN.
        Stopped: `enough` was set before the pass was through.
    """
    check(taps, model.taps(), per_image)
    if begun is not None and begun.complete:
        return begun
    mesh = mesh_for(data.batch)
    split = NamedSharding(mesh, PartitionSpec(IMAGE))
    run = partial(_read, taps=tuple(taps), per_image=per_image, seed=seed, mesh=mesh)
    model, pace, enough = jax.device_put(model, NamedSharding(mesh, PartitionSpec())), Pace(), enough or Event()
    parts, waiting, kept = [begun or _nothing(model, taps, per_image)], [], time.monotonic()

    def so_far(complete: bool) -> Sample:
        parts[:] = [_joined([*parts, *(_part(*one) for one in waiting)])]
        waiting.clear()
        done = replace(parts[0], complete=complete)
        keep(done)
        return done

    for batch in data.batches(start=parts[0].done):
        found = pace(run(model, *jax.device_put((batch.images, batch.place), split)))
        waiting.append((batch.place, found))
        if len(waiting) > 16:  # what waits is on the device
            parts.append(_joined([_part(*one) for one in waiting[:8]]))
            del waiting[:8]
        if enough.is_set() or time.monotonic() - kept > SAVED_EVERY:
            so_far(False)
            kept = time.monotonic()
        if enough.is_set():
            raise Stopped
    return so_far(True)


def merged(parts: Sequence[Sample]) -> Sample:
    """The samples of all hosts together, in the order of the images."""
    whole = _joined(parts)
    order = np.argsort(whole.place, kind="stable")
    pick = lambda arrays: {tap: array[order] for tap, array in arrays.items()}
    return replace(whole, place=whole.place[order], token=pick(whole.token), value=pick(whole.value))


def _nothing(model: Network, taps: Sequence[str], per_image: int) -> Sample:
    wide = {tap: model.taps()[tap].shape[-1] for tap in taps}
    return Sample(
        np.zeros(0, np.int32),
        {tap: np.zeros((0, per_image), np.int32) for tap in taps},
        {tap: np.zeros((0, per_image, wide[tap]), np.float32) for tap in taps},
        {tap: np.zeros((wide[tap], wide[tap])) for tap in taps},
        dict.fromkeys(taps, 0),
    )


def _joined(parts: Sequence[Sample]) -> Sample:
    taps = parts[0].value
    together = lambda name: {tap: np.concatenate([getattr(part, name)[tap] for part in parts]) for tap in taps}
    added = lambda name: {tap: sum(getattr(part, name)[tap] for part in parts) for tap in taps}
    return Sample(
        place=np.concatenate([part.place for part in parts]),
        token=together("token"),
        value=together("value"),
        moment=added("moment"),
        patches=added("patches"),
        done=sum(part.done for part in parts),
        complete=all(part.complete for part in parts),
    )


def _part(place: np.ndarray, found: Mapping[str, tuple[Array, ...]]) -> Sample:
    """What one batch's arrays say, on the host, without the rows that hold no image."""
    there = place >= 0
    host = {tap: tuple(map(np.asarray, arrays)) for tap, arrays in found.items()}
    for tap, (_, value, _, _) in host.items():
        if np.isnan(value[there]).any():
            raise InputError(f"the model gives NaN at {tap}")
    return Sample(
        place[there],
        {tap: token[there] for tap, (token, _, _, _) in host.items()},
        {tap: value[there] for tap, (_, value, _, _) in host.items()},
        {tap: moment.sum(axis=0, dtype=np.float64) for tap, (_, _, moment, _) in host.items()},
        {tap: int(patches.sum()) for tap, (_, _, _, patches) in host.items()},
        done=1,
    )


@partial(jax.jit, static_argnames=("taps", "per_image", "seed", "mesh"))
def _read(model, images, place, *, taps: tuple[str, ...], per_image: int, seed: int, mesh: Mesh):
    """{tap: (patches drawn, their values, of each device the sum of h h^T, and how many patches that is of)}."""

    def on_device(model, images, place):
        values, sites, there = (
            model(images.astype(jnp.float32) / 255, taps, execution=OVER_DATA),
            model.taps(),
            place >= 0,
        )
        found = {}
        for tap in taps:
            each = at_tokens(values[tap], sites[tap], "patches")
            token = patches_of(seed, place, per_image, each.shape[1])
            seen = jnp.where(there[:, None, None], each, 0)
            moment = jnp.einsum("ipc,ipd->cd", seen, seen, precision="highest")
            value = jnp.take_along_axis(each, token[..., None], axis=1)
            found[tap] = token, value, moment[None], (there.sum() * each.shape[1])[None]
        return found

    whole, split = PartitionSpec(), PartitionSpec(IMAGE)
    return jax.shard_map(on_device, mesh=mesh, in_specs=(whole, split, split), out_specs=split, check_vma=False)(
        model, images, place
    )
