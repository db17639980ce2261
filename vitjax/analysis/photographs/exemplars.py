"""Finds the images that every unit of some taps responds to most, in one pass over the data."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Event

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from vitjax.analysis.photographs.exemplars_found import Exemplars
from vitjax.analysis.photographs.natural import Natural, Part, merged, read_part, same
from vitjax.analysis.photographs.outliers import stream_ratios, streams_of
from vitjax.analysis.photographs.tally import Tally, add, empty, merge
from vitjax.analysis.photographs.wide import add_parts, in_parts
from vitjax.analysis.study.checks import analysis
from vitjax.analysis.study.passes import IMAGE, Pace, mesh_for
from vitjax.analysis.study.patches import counted_tokens, numbers_of_tokens, own_grid
from vitjax.data.dataset import Dataset
from vitjax.data.files.images import checksum
from vitjax.data.files.prints import UNREAD, compare, digest, heads, watched
from vitjax.errors import InputError, Stopped
from vitjax.models.core.execution import OVER_DATA
from vitjax.models.core.network import Network, provenance
from vitjax.models.core.surroundings import standard
from vitjax.units.select import token_span
from vitjax.units.units import check_tap

SAMPLE = 1024  # images whose scores are all kept: for quantiles and percentiles
SAVED_EVERY = 200  # batches between two saves


@analysis
def exemplars(
    model: Network,
    data: Dataset,
    taps: str | Sequence[str],
    *,
    k: int = 9,
    tokens: str = "patches",
    folder: Path | None = None,
    kept: Callable[[Path], None] = lambda _: None,
    enough: Event | None = None,
) -> Exemplars | None:
    """Finds each unit's best images and measures its ordinary ones.

    Images are scored by the mean activation over patch tokens, as Ghiasi et al. do (B2 of their code: running maximum
    over ImageNet); `patch` is where on the tap's grid it was highest. The state has a fixed size: memory does not grow
    with the number of images. Equal scores are ordered by place in the data set, so batches, devices and hosts change
    nothing.

    Args:
        model: any; the forward pass stops after the last tap.
        data: the images; `data.shard` says which part of them this host sees.
        taps: whose units are meant, all of them.
        k: how many best images are kept for each unit.
        tokens: which tokens count, as in `Recipe.tokens`.
        folder: where the state is kept every few minutes, a file for each host. A run that finds its file there goes
            on; the host that completes the last part gets the result of all. A file that an earlier version wrote,
            which did not look at the images' bytes, is begun anew.
        kept: told of that file after each time it was written.
        enough: once set, the batch under way is finished, the state is kept, and the pass ends.

    Returns:
        The exemplars, or None where `folder` still misses other hosts' parts.

    Raises:
        InputError: unknown taps, a state in `folder` that was made with other settings or other images of the same
            names, an image that changes meanwhile, or a model that gives NaN.
        Stopped: `enough` was set before the pass was through.
    """
    taps, sites = [taps] if isinstance(taps, str) else list(dict.fromkeys(taps)), model.taps()
    for tap in taps:
        check_tap(tap, sites)
    for tap in taps:
        numbers_of_tokens(tokens, sites[tap], model.config.grid)
    settings = _settings(model, data, taps, k, tokens)
    path = folder and folder / _file(data.shard)
    part = _begun(path, settings, data) or _unbegun(settings, data)
    sums = part.sums.copy()
    seen = replace(data, images=watched(data.images, sums))

    def keep(part: Part) -> None:
        if path:
            part.write(path)
            kept(path)

    if not part.complete:
        part = _run(model, seen, replace(part, sums=sums), sites, k, tokens, keep, enough or Event())
    parts = [part] if folder is None else _parts(folder, data, part)
    if parts is None:
        return None
    tallies = merged(parts)
    for tap, tally in tallies.items():
        if np.isnan(tally.mean).any():
            raise InputError(
                f"the model gives NaN at {tap}, unit {int(np.isnan(tally.mean).argmax())} and perhaps others"
            )
    sampled = _sampled(len(data.images))
    where = {tap: numbers_of_tokens(tokens, sites[tap], model.config.grid) for tap in taps}
    on = {tap: own_grid(sites[tap], model.config.grid) for tap in taps}
    found = {tap: Natural(tap, sites[tap].units, where[tap], tallies[tap], sampled, on[tap]) for tap in taps}
    unreadable = {name: reason for part in parts for name, reason in part.unreadable.items()}
    data.unreadable.update(unreadable)
    np.maximum.reduce([part.sums for part in parts], out=sums)  # `seen` now holds what any host has read
    return Exemplars(found, data.images.names, settings, unreadable, seen.images, data.config)


def _settings(model: Network, data: Dataset, taps: list[str], k: int, tokens: str) -> dict[str, object]:
    return {
        "model": provenance(model),
        "image_size": list(model.config.image_size),
        "dtype": str(model.dtype),
        "data": data.images.source,
        "images": len(data.images),
        "names": checksum(data.images.names),
        "content": digest(heads(data.images)),
        "taps": taps,
        "k": k,
        "tokens": tokens,
        "batch": data.batch,
        "shards": data.shard[1],
    }


def _sampled(images: int) -> np.ndarray:
    """Places of the images whose scores are all kept: all, or a random choice that depends on their number alone."""
    if images <= SAMPLE:
        return np.arange(images)
    return np.sort(np.random.default_rng(0).choice(images, SAMPLE, replace=False))


def _file(shard: tuple[int, int]) -> str:
    return f"part-{shard[0]}-of-{shard[1]}.npz"


def _unbegun(settings: Mapping, data: Dataset) -> Part:
    sums = np.full(len(data.images), UNREAD, np.int64)
    return Part(data.shard[0], settings, {}, 0, False, {}, heads(data.images), sums)


def _begun(path: Path | None, settings: Mapping, data: Dataset) -> Part | None:
    """A part of the same settings and images; None if there is none, or one that knows nothing of the images' bytes."""
    if path is None or not path.exists():
        return None
    part = read_part(path)
    same(part, settings, path, data.shard[0])
    if "content" not in part.settings:
        return None
    compare(data.images, part.heads, part.sums, path)
    return part


def _parts(folder: Path, data: Dataset, mine: Part) -> list[Part] | None:
    parts = []
    for i in range(data.shard[1]):
        path = folder / _file((i, data.shard[1]))
        part = mine if i == data.shard[0] else _begun(path, mine.settings, replace(data, shard=(i, data.shard[1])))
        if part is None or not part.complete:
            return None
        parts.append(part)
    return parts


@standard()
def _run(
    model: Network, data: Dataset, part: Part, sites: Mapping, k: int, tokens: str, keep: Callable, enough: Event
) -> Part:
    sizes = {tap: math.prod(sites[tap].units) for tap in part.settings["taps"]}
    mesh = mesh_for(data.batch)
    whole, split = NamedSharding(mesh, PartitionSpec()), NamedSharding(mesh, PartitionSpec(IMAGE))
    sampled = _sampled(len(data.images))
    blank = lambda tap: empty(sizes[tap], k, len(sampled), sites[tap].tokens)
    stack = lambda *leaves: np.stack(leaves)
    tallies = {
        tap: jax.tree.map(stack, Tally(*part.tallies.get(tap, blank(tap))), *[blank(tap)] * (mesh.size - 1))
        for tap in sizes
    }
    tallies, model = jax.device_put(tallies, split), jax.device_put(model, whole)
    batches = data.batches(start=part.done)
    batches.unreadable.update(part.unreadable)

    def so_far(done: int, complete: bool) -> Part:
        host = jax.tree.map(np.asarray, tallies)
        apart = {tap: [jax.tree.map(lambda x, i=i: x[i], host[tap]) for i in range(mesh.size)] for tap in sizes}
        known = {tap: merge(apart[tap]) for tap in sizes}
        return replace(part, tallies=known, done=done, complete=complete, unreadable=batches.unreadable)

    done, pace = part.done, Pace()
    for done, batch in enumerate(batches, part.done + 1):
        slot = np.where(np.isin(batch.place, sampled), np.searchsorted(sampled, batch.place), len(sampled))
        arrays = jax.device_put((batch.images, batch.place, slot.astype(np.int32)), split)
        tallies, counted = _add(model, tallies, *arrays, taps=tuple(sizes), tokens=tokens, mesh=mesh)
        pace(counted)
        if enough.is_set() or done % SAVED_EVERY == 0:
            keep(so_far(done, False))
        if enough.is_set():
            raise Stopped
    keep(finished := so_far(done, True))
    return finished


@partial(jax.jit, static_argnames=("taps", "tokens", "mesh"), donate_argnames="tallies")
def _add(model, tallies, images, place, slot, *, taps: tuple[str, ...], tokens: str, mesh: Mesh):
    def on_device(model, tallies, images, place, slot):
        sites, grid = model.taps(), model.config.grid
        parts = in_parts(model, taps)
        hosts = {one.form.tap for one in parts.values()}
        read = {*(tap for tap in taps if tap not in parts), *hosts, *streams_of(taps, sites)}
        values = model(images.astype(jnp.float32) / 255, read, execution=OVER_DATA)
        here = jax.tree.map(lambda x: x[0], tallies)
        seen = {tap: counted_tokens(values[tap], sites[tap], tokens, grid) for tap in taps if tap not in parts}
        whole = [tap for tap in taps if sites[tap].grid == own_grid(sites[tap], grid)]
        ratios = stream_ratios(values, whole, sites)
        norms = {tap: ratio[:, token_span(tokens, sites[tap])] for tap, ratio in ratios.items()}
        added = {tap: add(here[tap], seen[tap], place, slot, norms.get(tap)) for tap in seen}
        for tap, one in parts.items():
            host = one.form.tap
            added[tap] = add_parts(here[tap], tap, one, values[host], sites[host], tokens, grid, place, slot)
        # The count is something to wait for: the tallies themselves are donated.
        return jax.tree.map(lambda x: x[None], added), (place >= 0).sum()[None]

    split, whole = PartitionSpec(IMAGE), PartitionSpec()
    return jax.shard_map(
        on_device, mesh=mesh, in_specs=(whole, split, split, split, split), out_specs=split, check_vma=False
    )(model, tallies, images, place, slot)
