"""A job's settings in, its manifest out: what an atlas is of, how it is made, and whether a store holds just that."""

import json
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

import jax

from vitjax import __version__
from vitjax.atlas.series import Series
from vitjax.atlas.store import Store
from vitjax.data.dataset import Dataset
from vitjax.data.images import checksum
from vitjax.errors import InputError
from vitjax.models.network import Network
from vitjax.optimize.recipes import Recipe
from vitjax.optimize.units import Unit

SCHEMA = 1
KEY = "manifest.json"
PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy", "tensorstore")


@dataclass(frozen=True)
class Manifest:
    """All that decides which pictures an atlas holds; two runs with equal manifests work on the same atlas.

    Attributes:
        schema: version of the store's layout.
        model: its card.
        image_size, dtype: as the model was loaded.
        recipe, seeds: how pictures are made; one picture for each seed.
        slots: pictures optimised together on one device; it decides the last bits of the pictures.
        units: {tap: indices}, as in unit sets.
        data: the photographs that grade the pictures: source, number and a checksum of the names; or None.
        k: photographs that stand for a unit.
    """

    schema: int
    model: Mapping[str, str]
    image_size: Sequence[int]
    dtype: str
    recipe: Mapping[str, Any]
    seeds: Sequence[int]
    slots: int
    units: Mapping[str, str]
    data: Mapping[str, Any] | None
    k: int

    @property
    def unit_list(self) -> list[Unit]:
        """The units by unit number."""
        return spread(self.units)

    def series(self, units: Sequence[Unit]) -> list[Series]:
        """The first pictures of the units: a series for each seed."""
        recipe, size = Recipe(**self.recipe), tuple(self.image_size)
        return [Series(f"seed-{seed}", recipe, seed, units, self.slots, size) for seed in self.seeds]


def manifest(
    model: Network,
    units: Sequence[Unit],
    recipe: Recipe,
    seeds: Sequence[int],
    slots: int,
    data: Dataset | None,
    k: int,
) -> Manifest:
    """The manifest of a job."""
    about = None
    if data is not None:
        about = {"source": data.images.source, "images": len(data.images), "names": checksum(data.images.names)}
    return Manifest(
        schema=SCHEMA,
        model=asdict(model.card) if model.card else {},
        image_size=list(model.config.image_size),
        dtype=str(model.dtype),
        recipe=asdict(recipe),
        seeds=list(seeds),
        slots=slots,
        units=condense(units),
        data=about,
        k=k,
    )


def condense(units: Sequence[Unit]) -> dict[str, str]:
    """Units as sets, by tap: `{"blocks.3.mlp.hidden": "0-63,71"}`; units of taps with heads as `2.12;2.13`."""
    groups: dict[str, list[tuple[int, ...]]] = {}
    for unit in units:
        groups.setdefault(unit.tap, []).append(unit.index)
    return {tap: _spans([i for (i,) in found]) if len(found[0]) == 1 else ";".join(".".join(map(str, i)) for i in found)
            for tap, found in groups.items()}  # fmt: skip


def spread(condensed: Mapping[str, str]) -> list[Unit]:
    """The units that `condense` was given."""
    return [
        Unit(tap, index)
        for tap, indices in condensed.items()
        for part in re.split("[,;]", indices)
        for index in ([tuple(map(int, part.split(".")))] if "-" not in part else _span(part))
    ]


def _span(text: str) -> list[tuple[int]]:
    first, last = map(int, text.split("-"))
    return [(i,) for i in range(first, last + 1)]


def _spans(numbers: Sequence[int]) -> str:
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in spans)


def agree(store: Store, wanted: Manifest) -> None:
    """Begins a store with a manifest, or makes sure that it holds the same.

    Raises:
        InputError: as `compare`.
    """
    if compare(store, wanted):
        data = (json.dumps(asdict(wanted) | {"made": made()}, indent=1, ensure_ascii=False) + "\n").encode()
        if not store.create(KEY, data):  # another host was faster
            compare(store, wanted)


def compare(store: Store, wanted: Manifest) -> bool:
    """Whether a store is free; if not, it holds the atlas that is wanted.

    Raises:
        InputError: the store holds another atlas, the message says what differs; or something else.
    """
    found = store.read_json(KEY)
    if found is None:
        held = [key for key in store.keys("") if not key.startswith("claims/")]
        if held:
            raise InputError(f"{store.address} is not empty ({held[0]}) and holds no atlas; choose another --out")
        return True
    if found.get("schema") != SCHEMA:
        raise InputError(f"{store.address} has schema {found.get('schema')}, this version of vitjax writes {SCHEMA}")
    _check(store, found)
    if differences := list(_differences(found, asdict(wanted))):
        raise InputError(
            f"{store.address} holds another atlas: {'; '.join(differences)}. Choose another --out, or --beside to begin"
            " a new one beside it"
        )
    return False


def read(store: Store) -> Manifest:
    """The manifest of a store.

    Raises:
        InputError: there is no atlas, or one of another schema.
    """
    found = store.read_json(KEY)
    if found is None:
        raise InputError(f"{store.address} holds no atlas: there is no {KEY}")
    if found.get("schema") != SCHEMA:
        raise InputError(f"{store.address} has schema {found.get('schema')}, this version of vitjax reads {SCHEMA}")
    _check(store, found)
    return Manifest(**{name: found[name] for name in Manifest.__dataclass_fields__})


def _check(store: Store, found: Mapping[str, Any]) -> None:
    if not Manifest.__dataclass_fields__.keys() <= found.keys() or not isinstance(found["units"], dict):
        raise InputError(f"{KEY} in {store.address} is damaged, and with it the atlas; choose another --out")


def made() -> dict[str, str]:
    """The versions of what makes the pictures, and the device."""
    device = jax.local_devices()[0]
    return {
        "vitjax": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
        "device": device.device_kind,
        "platform": device.platform,
    }


def _differences(found: Any, wanted: Any, path: str = ""):
    """What differs, in words: `recipe.steps is 160 there, 200 here`."""
    if path in ("model.source", "data.source"):  # the same weights and photographs may lie in another place
        return
    if path == "units":
        tap = next((tap for tap in [*found, *wanted] if found.get(tap) != wanted.get(tap)), None)
        found, wanted, path = (found.get(tap), wanted.get(tap), f"units of {tap}") if tap else (0, 0, path)
    if isinstance(found, dict) and isinstance(wanted, dict):
        for name in wanted:
            yield from _differences(found.get(name), wanted[name], f"{path}.{name}".lstrip("."))
    elif found != wanted:
        yield f"{path} is {_short(found)} there, {_short(wanted)} here"


def _short(value: Any) -> str:
    text = re.sub(r"[{}\[\]'\"]", "", str(value)) if isinstance(value, dict | list) else str(value)
    return text if len(text) <= 60 else text[:57] + "…"
