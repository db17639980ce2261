"""Keeps what was found of a model's activations: the samples of each host, the map with its cells, what cells are for.

All of it lies under `activations/` in a store, as .npz files that hold arrays `TAP/NAME` and a JSON head.
"""

import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from vitjax.analysis.activations.gathered import FIELDS, Layer
from vitjax.analysis.activations.sampled import Sample
from vitjax.atlas.records.agreement import differences
from vitjax.atlas.store.store import Store
from vitjax.errors import InputError
from vitjax.models.dictionaries.cells import CELLS, Angles, Cells
from vitjax.units.units import Unit

PREFIX = "activations/"
MAP = f"{PREFIX}map.npz"
_PART = re.compile(rf"{PREFIX}(sample|names)-(\d+)-of-(\d+)\.npz")


@dataclass(frozen=True)
class Made:
    """What a record says of how cells were found; a card of `Cells`."""

    images: str
    samples: int
    per_image: int
    layout: str
    grid: int
    ridge: float


@dataclass(frozen=True)
class Survey:
    """What a store knows of activations.

    Attributes:
        settings: what decides it.
        layers: {tap: its cells}.
        names: of the classes or words that cells add to; none where nothing names them.
        adds: {tap: what a sample of each cell adds to each name in the mean}.
    """

    settings: Mapping[str, Any]
    layers: Mapping[str, Layer]
    names: Sequence[str] = ()
    adds: Mapping[str, Float[np.ndarray, "cell name"]] = field(default_factory=dict)

    @property
    def cells(self) -> list[Cells]:
        """The cells of each tap, as `model.with_dictionary` takes them."""
        asked = self.settings["asked"]
        return [
            Cells(
                Angles(tap, asked["power"]),
                layer.directions.T,
                Made(
                    self.settings["data"]["content"],
                    int(layer.counts.sum()),
                    asked["per_image"],
                    asked["layout"],
                    len(layer.counts),
                    asked["ridge"],
                ),
            )
            for tap, layer in self.layers.items()
        ]

    @property
    def units(self) -> list[Unit]:
        """The cells as units, tap by tap."""
        return [Unit(f"{tap}.{CELLS}", (i,)) for tap, layer in self.layers.items() for i in range(len(layer.row))]


def hold(settings: Mapping[str, Any], wanted: Mapping[str, Any], address: str) -> None:
    """Raises an InputError that says what differs where activations were found by other settings than wanted now."""
    if found := list(differences(settings, wanted)):
        raise InputError(
            f"{address} holds another atlas of activations: {'; '.join(found)}. Choose another --out, or --beside to"
            " begin a new one beside it"
        )


def read(store: Store, key: str = MAP) -> Survey | None:
    """Reads the map of a store, without what cells add to; None where there is none.

    Raises:
        InputError: it is damaged.
    """
    return None if (data := store.read(key)) is None else mapped(data, store)


def mapped(data: bytes, store: Store) -> Survey:
    """The map that these bytes of a store hold; errors as of `read`."""
    head, arrays = _unpacked(data, store, MAP)
    try:
        layers = {tap: Layer(**{name: arrays[f"{tap}/{name}"] for name in FIELDS}) for tap in head["taps"]}
    except KeyError as error:
        raise store.damaged(MAP, f"it has no {error}") from None
    return Survey(head["settings"], layers)


def write(store: Store, survey: Survey) -> None:
    """Puts a map into a store."""
    arrays = {f"{tap}/{name}": getattr(layer, name) for tap, layer in survey.layers.items() for name in FIELDS}
    store.write(MAP, _packed({"settings": survey.settings, "taps": list(survey.layers)}, arrays))


def sample_key(shard: tuple[int, int]) -> str:
    """Where the samples of one host are."""
    return f"{PREFIX}sample-{shard[0]}-of-{shard[1]}.npz"


def names_key(shard: tuple[int, int]) -> str:
    """Where it is kept what one host's samples add to each name."""
    return f"{PREFIX}names-{shard[0]}-of-{shard[1]}.npz"


def write_sample(store: Store, shard: tuple[int, int], settings: Mapping[str, Any], part: Sample) -> None:
    """Puts one host's samples into a store, as far as they have come."""
    head = {"settings": settings, "taps": list(part.value), "patches": part.patches}
    head |= {"done": part.done, "complete": part.complete}
    arrays = {f"{tap}/{name}": getattr(part, name)[tap] for tap in part.value for name in ("token", "value", "moment")}
    store.write(sample_key(shard), _packed(head, {"place": part.place} | arrays))


def read_sample(store: Store, shard: tuple[int, int], settings: Mapping[str, Any]) -> Sample | None:
    """Reads one host's samples; None where there are none.

    Raises:
        InputError: they are damaged, or were taken by other settings.
    """
    if (data := store.read(key := sample_key(shard))) is None:
        return None
    head, arrays = _unpacked(data, store, key)
    hold(head["settings"], settings, store.address)
    by_tap = lambda name: {tap: arrays[f"{tap}/{name}"] for tap in head["taps"]}
    try:
        return Sample(
            arrays["place"],
            by_tap("token"),
            by_tap("value"),
            by_tap("moment"),
            head["patches"],
            head["done"],
            head["complete"],
        )
    except KeyError as error:
        raise store.damaged(key, f"it has no {error}") from None


def write_names(store: Store, shard: tuple[int, int], names: Sequence[str], adds: Mapping[str, np.ndarray]) -> None:
    """Puts what one host's samples add to names, sums by cell, into a store."""
    store.write(names_key(shard), _packed({"names": list(names)}, adds))


def named(survey: Survey, parts: Sequence[bytes], store: Store) -> Survey:
    """A map with what its cells add to names in the mean, given all hosts' parts as bytes; as it is without any."""
    if not parts:
        return survey
    read = [_unpacked(data, store, names_key((number, len(parts)))) for number, data in enumerate(parts)]
    adds = {tap: sum(arrays[tap] for _, arrays in read) / layer.count[:, None] for tap, layer in survey.layers.items()}
    return replace(survey, names=read[0][0]["names"], adds=adds)


def whole(store: Store, units: Sequence[Unit]) -> Survey | None:
    """The map of a store whose units are its cells, with what they add to names; None of a store of other units."""
    found = read(store) if units and units[0].tap.endswith(f".{CELLS}") else None
    return found and named(found, [store.read(key) for key in parts(store.keys(PREFIX), "names")], store)


def parts(keys: Sequence[str], kind: str) -> list[str]:
    """Picks the keys of all hosts' parts of a kind, "sample" or "names", in the hosts' order; none while any misses."""
    found: dict[int, dict[int, str]] = {}
    for key in keys:
        if (match := _PART.fullmatch(key)) and match[1] == kind:
            found.setdefault(int(match[3]), {})[int(match[2])] = key
    whole = (mine for hosts, mine in sorted(found.items()) if len(mine) == hosts)
    return [key for _, key in sorted(next(whole, {}).items())]


def _packed(head: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> bytes:
    data = io.BytesIO()
    np.savez(data, head=np.frombuffer(json.dumps(head).encode(), np.uint8), **arrays)
    return data.getvalue()


def _unpacked(data: bytes, store: Store, key: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        return json.loads(arrays.pop("head").tobytes()), arrays
    except Exception as error:  # in as many ways as arrays, JSON and zips can be damaged
        raise store.damaged(key, str(error)) from None
