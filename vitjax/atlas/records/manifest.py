"""Says in a manifest what an atlas is of and how it is made.

It is kept twice, as nothing in a store can be read without it.
"""

import dataclasses
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Annotated, Any

import jax
from msgspec import Meta

from vitjax import __version__
from vitjax.atlas.records.condensed import condense, spread
from vitjax.atlas.records.series import Series
from vitjax.atlas.store.sealed import unseal
from vitjax.atlas.store.store import Store
from vitjax.data.dataset import Dataset
from vitjax.data.files.prints import describe
from vitjax.errors import InputError, nearest
from vitjax.files import held
from vitjax.models.core.network import Network, provenance
from vitjax.optimize.recipes import Recipe, fields
from vitjax.units.units import Unit

SCHEMA = 1
KEY, COPY = "manifest.json", "manifest.copy.json"
PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy", "tensorstore")


@dataclass(frozen=True)
class Manifest:
    """All that decides which pictures an atlas holds; two runs with equal manifests work on the same atlas.

    Attributes:
        schema: version of the store's layout.
        model: its card.
        image_size: as the model was loaded.
        dtype: of the weights and activations that paint; empty: still to be chosen.
        recipe, seeds: how pictures are made; one picture for each seed.
        slots: pictures optimised together on one device; it decides the last bits of the pictures.
        units: {tap: indices}, as in unit sets.
        data: the photographs that grade the pictures, as `vitjax.data.files.prints.describe` tells them; or None.
        k: photographs that stand for a unit.
        measuring: dtype in which photographs are looked at, pictures graded and units compared; empty in stores begun
            by a version that did that in `dtype`.
    """

    schema: int
    model: Mapping[str, Any]
    image_size: Annotated[Sequence[Annotated[int, Meta(ge=1, le=2**15)]], Meta(min_length=2, max_length=2)]
    dtype: str
    recipe: Mapping[str, Any]
    seeds: Annotated[Sequence[Annotated[int, Meta(ge=0, lt=2**32)]], Meta(min_length=1)]
    slots: Annotated[int, Meta(ge=0, le=2**20)]  # 0: still to be chosen
    units: Mapping[str, str]
    data: Mapping[str, Any] | None
    k: int
    measuring: str = ""

    @property
    def unit_list(self) -> list[Unit]:
        """The units by unit number."""
        return spread(self.units)

    def series(self, units: Sequence[Unit]) -> list[Series]:
        """Plans the first pictures of the units: a series for each seed."""
        recipe, size = recipe_of(self.recipe), tuple(self.image_size)
        return [Series(f"seed-{seed}", recipe, seed, units, self.slots, size) for seed in self.seeds]


@dataclass(frozen=True, kw_only=True)
class _Whole(Manifest):
    """A manifest as it stands in a store: `made` with what, see the function."""

    made: Mapping[str, str]


def manifest(
    model: Network,
    units: Sequence[Unit],
    recipe: Recipe,
    seeds: Sequence[int],
    slots: int,
    data: Dataset | None,
    k: int,
    dtype: str | None = None,
) -> Manifest:
    """Makes the manifest of a job.

    Args:
        model: that the pictures are of, in the dtype in which they are measured.
        units: by unit number.
        recipe, seeds: how pictures are made; one picture for each seed.
        slots: pictures optimised together on one device; 0 where that is still to be chosen.
        data: the photographs, or None.
        k: photographs that stand for a unit, or all where there are fewer.
        dtype: in which they are painted, empty where that is still to be chosen; default the model's.

    Raises:
        InputError: a recipe or a model of which no atlas can be made.
    """
    check(model, recipe)
    return Manifest(
        schema=SCHEMA,
        model=provenance(model),
        image_size=list(model.config.image_size),
        dtype=str(model.dtype) if dtype is None else dtype,
        recipe=fields(recipe),
        seeds=list(seeds),
        slots=slots,
        units=condense(units),
        data=data and describe(data.images),
        k=min(k, len(data.images)) if data else k,
        measuring=str(model.dtype),
    )


def check(model: Network, recipe: Recipe) -> None:
    """Says of which recipe or model no atlas can be made.

    Raises:
        InputError: of this one.
    """
    if recipe.together > 1:
        raise InputError("an atlas has one picture a unit: leave out variants and rows, or use `vitjax visualize`")
    if (channels := model.config.channels) != 3:
        raise InputError(f"an atlas is of models that read red, green and blue, not {channels} channels")


def recipe_of(fields: Mapping[str, Any]) -> Recipe:
    """Makes the recipe whose fields a store holds.

    Raises:
        InputError: there is no such recipe.
    """
    known = [field.name for field in dataclasses.fields(Recipe)]
    if unknown := fields.keys() - set(known):
        raise InputError(f"a recipe has no {min(unknown)!r}{nearest(min(unknown), known)}")
    return held(fields, "the recipe", Recipe)


def read(store: Store) -> Manifest:
    """Reads the manifest of a store.

    Raises:
        InputError: there is no atlas, one of another schema, or a damaged manifest.
    """
    return held(described(store), KEY, Manifest)


def whole(store: Store) -> Manifest:
    """Reads the manifest of a store, by its copy where it is damaged; errors as of `read`."""
    try:
        return read(store)
    except InputError:
        try:
            return held(parse(store.read(COPY)), COPY, Manifest)
        except InputError:
            pass
        raise


def described(store: Store) -> dict[str, Any]:
    """Reads all that the manifest of a store says: its fields and what it was `made` with; errors as of `read`."""
    if (said := stated(store)) is None:
        raise InputError(f"{store.address} holds no atlas: there is no {KEY}")
    return said


def stated(store: Store) -> dict[str, Any] | None:
    """Reads what the manifest says; None where there is neither it nor its copy; other errors as of `read`."""
    if (data := store.read(KEY)) is None and store.read(COPY) is None:
        return None
    try:
        return parse(data)
    except _OtherSchema as error:
        raise InputError(f"{store.address} {error}") from None
    except InputError as error:
        raise InputError(f"{KEY} in {store.address} is damaged: {error}; {_way_out(store)}") from None


class _OtherSchema(InputError):
    """Another version's manifest."""


def _way_out(store: Store) -> str:
    try:
        parse(store.read(COPY))
        return "`vitjax atlas --verify --repair` mends it from its copy"
    except InputError:
        return "without it the atlas is lost: choose another --out"


def parse(data: bytes | None) -> dict[str, Any]:
    """Reads what the bytes of a manifest say, as they stand in a store.

    Raises:
        InputError: they are missing or damaged, or of another schema.
    """
    if data is None:
        raise InputError("it is missing")
    found = unseal(data, "it")
    if not isinstance(schema := found.get("schema"), int):
        raise InputError("it states no schema")
    if schema != SCHEMA:
        raise _OtherSchema(f"has schema {schema}, this version of vitjax reads and writes {SCHEMA}")
    known = held(found, "it", _Whole)
    known.series(known.unit_list)
    return found


def made() -> dict[str, str]:
    """Says the versions of what makes the pictures, and the device."""
    device = jax.local_devices()[0]
    return {
        "vitjax": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
        "device": device.device_kind,
        "platform": device.platform,
    }
