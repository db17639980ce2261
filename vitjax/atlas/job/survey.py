"""Finds the cells of an atlas of activations, before there is anything to paint: samples, a map, what cells are for.

Each host samples its part of the images. The one that finds all parts there lays them out and writes the map, which
decides the units of the atlas; the others wait for it. Then each host sees what its samples add to the classes.
"""

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from vitjax.analysis.activations import plane, sampled, whitened
from vitjax.analysis.activations.attributed import Readout, attributed
from vitjax.analysis.activations.gathered import gathered
from vitjax.atlas.job.look import apart
from vitjax.atlas.job.progress import Reporter, Screen
from vitjax.atlas.records import activation_map, manifest
from vitjax.atlas.records.activation_map import Survey
from vitjax.atlas.store.claim import Held, claimed
from vitjax.atlas.store.store import Store, Unreachable
from vitjax.data.dataset import Dataset
from vitjax.data.files.images import checksum
from vitjax.data.files.prints import describe
from vitjax.errors import InputError, Stopped
from vitjax.models.core.network import Network, provenance
from vitjax.models.dictionaries.cells import CELLS
from vitjax.ranges import COUNT, Range
from vitjax.stop import Stop, stopped_by_signals

AUTO = "auto"
PATIENCE, ASKED_EVERY = 600.0, 5.0  # seconds that a host waits for the map, and between two looks
_THRESHOLD = Range(0, 10**9, whole=True)


@dataclass(frozen=True)
class Asked:
    """What of activations an atlas shows.

    Attributes:
        taps: whose activations.
        per_image: patches drawn of each image.
        seed: of the draw and the layout.
        layout: umap, tsne, pca, or "auto" for the first of these that is installed.
        grid: cells of a side; 0 for 10 to 20, as suits the samples.
        threshold: cells with so many samples or fewer are dropped.
        ridge: of the whitening.
        power: of the cosine in the goal of a cell's picture.
    """

    taps: Sequence[str]
    per_image: int = 1
    seed: int = 0
    layout: str = AUTO
    grid: int = 0
    threshold: int = 5
    ridge: float = whitened.RIDGE
    power: float = 2.0

    def checked(self, model: Network) -> "Asked":
        """The same, with each tap once; raises an InputError for what cannot be."""
        COUNT.check("per_image", self.per_image)
        _THRESHOLD.check("threshold", self.threshold)
        if self.grid:
            plane.GRID.check("grid", self.grid)
        taps = list(dict.fromkeys(self.taps))
        sampled.check(taps, model.taps(), self.per_image)
        plane.check(self.layout)
        return replace(self, taps=taps)


def settings_of(model: Network, data: Dataset, asked: Asked, readout: Readout | None) -> dict[str, Any]:
    """All that decides what is found."""
    return {
        "model": provenance(model),
        "image_size": list(model.config.image_size),
        "data": describe(data.images),
        "batch": data.batch,
        "names": checksum(readout.names) if readout else "",
        "asked": asdict(asked) | {"taps": list(asked.taps)},
    }


def begun(store: Store, settings: Mapping[str, Any]) -> Survey | None:
    """Reads the map of a store, where there is one.

    Raises:
        InputError: it was found by other settings, or the store holds another atlas.
    """
    found = activation_map.read(store)
    if found is not None:
        activation_map.hold(found.settings, settings, store.address)
    elif (stated := manifest.stated(store)) and not all(tap.endswith(f".{CELLS}") for tap in stated["units"]):
        raise InputError(f"{store.address} holds an atlas of units: choose another --out, or --beside")
    return found


def find(
    out: str, model: Network, data: Dataset, asked: Asked, readout: Readout | None, *, beside: bool = False
) -> tuple[Survey, Store] | None:
    """Finds the cells with its progress on the terminal, for `vitjax atlas --of activations`.

    Args:
        out: the address of the store.
        model, data, asked, readout: as of `surveyed`.
        beside: where it holds another atlas, take the first store beside it that is free or holds this one.

    Returns:
        The map and its store; None where that was stopped, or other hosts' samples are missing, which is said.

    Raises:
        InputError: as `surveyed`.
    """
    store, number = Store(out), 1
    apart(store, data)
    asked = asked.checked(model)
    while True:
        mine = _settled(store, asked)
        try:
            begun(store, settings_of(model, data, mine, readout))
            break
        except Unreachable:  # and so would be those beside it
            raise
        except InputError:
            if not beside:
                raise
            number += 1
            store = Store(f"{out.rstrip('/')}-{number}")
    screen = Screen()
    with stopped_by_signals() as stop:
        try:
            found = surveyed(store, model, data, mine, readout, report=screen, stop=stop)
        except Stopped:
            print(f"vitjax: stopped; run the same command again to go on with {store.address}", file=sys.stderr)
            return None
        finally:
            screen.close()
    if found is None:
        part, parts = data.shard
        print(
            f"vitjax: part {part} of {parts} has its samples, others have not; run the same command again to go on with"
            f" {store.address}",
            file=sys.stderr,
        )
        return None
    for tap, layer in found.layers.items():
        print(
            f"{tap}: {len(layer.cell)} activations, {len(layer.row)} of {layer.counts.size} cells have more than"
            f" {mine.threshold}, with {(layer.cell >= 0).mean():.0%} of them"
        )
    return found, store


def _settled(store: Store, asked: Asked) -> Asked:
    """What is asked of a store, with the layout that it was begun with where any would do."""
    if asked.layout != AUTO:
        return replace(asked, layout=plane.check(asked.layout))
    found = activation_map.read(store)
    return replace(asked, layout=found.settings["asked"]["layout"] if found else plane.check(AUTO))


def surveyed(
    store: Store,
    model: Network,
    data: Dataset,
    asked: Asked,
    readout: Readout | None,
    *,
    report: Reporter,
    stop: Stop,
    patience: float = PATIENCE,
) -> Survey | None:
    """Finds the cells, or what this host has to add to that; goes on where it was stopped.

    Args:
        store: of the atlas.
        model: whose activations, in float32.
        data: the images; `data.shard` is this host's part.
        asked: see there; checked.
        readout: what cells are named by; None for nothing.
        report: is told how it goes.
        stop: asks it to end early.
        patience: seconds to wait for other hosts' samples.

    Returns:
        The map, or None where other hosts' samples are still missing.

    Raises:
        InputError: as `begun`, `sampled`, `gathered` and `attributed`.
        Stopped: that was asked for; samples taken so far are kept.
    """
    settings, shard = settings_of(model, data, asked, readout), data.shard
    data = replace(data, progress=report.photographs)
    with claimed(store, f"{shard[0]}-of-{shard[1]}"):
        if (found := begun(store, settings)) is None:
            keep = lambda part: activation_map.write_sample(store, shard, settings, part)
            mine = activation_map.read_sample(store, shard, settings)
            how = {"per_image": asked.per_image, "seed": asked.seed}
            sampled.sampled(model, data, asked.taps, **how, begun=mine, keep=keep, enough=stop.asked)
            found = _map(store, settings, asked, shard[1], stop, patience)
        if found is not None and readout is not None and store.read(activation_map.names_key(shard)) is None:
            adds = attributed(model, data, found.layers, readout, enough=stop.asked)
            activation_map.write_names(store, shard, readout.names, adds)
    return found


def _map(
    store: Store, settings: Mapping[str, Any], asked: Asked, hosts: int, stop: Stop, patience: float
) -> Survey | None:
    """Makes the map if all samples are there, or waits for another host that does."""
    until = time.monotonic() + patience
    while (found := activation_map.read(store)) is None:
        try:
            with claimed(store, "map"):
                found = activation_map.read(store) or _drawn(store, settings, asked, hosts)
        except Held:  # by another host that found all samples there
            found = None
        if found is not None or time.monotonic() > until:
            break
        stop.here()
        time.sleep(min(ASKED_EVERY, patience))
    return found


def _drawn(store: Store, settings: Mapping[str, Any], asked: Asked, hosts: int) -> Survey | None:
    """Lays out the samples and writes the map; None while some are missing."""
    parts = [activation_map.read_sample(store, (number, hosts), settings) for number in range(hosts)]
    if not all(part is not None and part.complete for part in parts):
        return None
    whole = sampled.merged(parts)
    how = {"layout": asked.layout, "grid": asked.grid, "threshold": asked.threshold, "ridge": asked.ridge}
    layers = {tap: gathered(whole, tap, **how, seed=asked.seed) for tap in asked.taps}
    activation_map.write(store, found := Survey(settings, layers))
    return found
