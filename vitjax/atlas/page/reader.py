"""Reads from a finished atlas's store what its page shows; no model and no photographs are needed any more."""

import hashlib
import io
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from vitjax.atlas.page.columns import ABOUT, columns
from vitjax.atlas.page.contents import Band, Contents, Exemplar, Histogram, Layout, Neighbour, Picture, Quantile, title
from vitjax.atlas.page.kept.cells import files
from vitjax.atlas.page.kept.classes import counted
from vitjax.atlas.page.kept.kept_maps import activations, scales, unpacked
from vitjax.atlas.page.kept.recipe_names import named
from vitjax.atlas.page.kept.silent import silent
from vitjax.atlas.records import activation_map, finished, manifest, retries
from vitjax.atlas.store.sealed import unseal
from vitjax.atlas.store.store import Store
from vitjax.errors import InputError
from vitjax.files import parse_json


def contents(store: Store) -> Contents:
    """Reads what a finished atlas shows.

    Raises:
        InputError: there is no atlas, it is not finished, or something in it is missing or damaged.
    """
    return _Reader(store).contents()


@dataclass(frozen=True)
class _Rows:
    """A table whose rows are asked for by unit number."""

    table: pa.Table
    first: np.ndarray  # of each unit, and the end

    @classmethod
    def of(cls, table: pa.Table, number: np.ndarray, units: int) -> "_Rows":
        order = np.argsort(number, kind="stable")
        return cls(table.take(order), np.searchsorted(number[order], np.arange(units + 1)))

    def __call__(self, unit: int) -> list[dict[str, Any]]:
        return self.table.slice(self.first[unit], self.first[unit + 1] - self.first[unit]).to_pylist()


@dataclass(frozen=True)
class _Laid:
    """A layout as it is kept: see `Layout`."""

    key: str
    label: str
    columns: int
    rows: int
    cells: list[int]
    bands: list[Band]


@dataclass(frozen=True)
class _Layouts:
    """The file of the layouts."""

    layouts: list[_Laid]


class _Reader:
    def __init__(self, store: Store):
        self.store, self.manifest, self.ended = store, manifest.read(store), finished.ended(store)
        if self.ended is None:
            raise InputError(f"the atlas in {store.address} is not finished: run `vitjax atlas` on it once more")

    def read(self, key: str) -> bytes | None:
        """Reads a key's bytes, as they were when the atlas was finished; None for what it did not have."""
        if key not in self.ended.sha256:
            return None
        data = self.store.read(key)
        if data is None or hashlib.sha256(data).hexdigest() != self.ended.sha256[key]:
            raise self.store.damaged(key, "missing" if data is None else "it does not match its checksum")
        return data

    def table(self, name: str) -> pa.Table | None:
        data = self.read(f"tables/{name}.parquet")
        return None if data is None else parquet.read_table(io.BytesIO(data))

    def array(self, name: str) -> np.ndarray | None:
        data = self.read(f"tables/{name}.npy")
        return None if data is None else np.load(io.BytesIO(data), allow_pickle=False)

    def contents(self) -> Contents:
        units, pictures, exemplars = self.units, self.table("pictures"), self.table("exemplars")
        model, recipe = self.manifest.model, dict(self.manifest.recipe)
        about = manifest.parse(self.read(manifest.KEY))
        tables = {"units": units, "pictures": pictures, "exemplars": exemplars, "cells": self.table("cells")}
        return Contents(
            title=title(model),
            model=model,
            recipe=named(manifest.recipe_of(recipe), recipe),
            seeds=self.manifest.seeds,
            image_size=tuple(self.manifest.image_size),
            grid=max((one.shape[1:] for one in self.maps), key=math.prod) if self.maps is not None else (1, 1),
            versions=about["made"],
            data=self.manifest.data and {key: self.manifest.data[key] for key in ("source", "images")},
            manifest=about | {"finished": asdict(self.ended)},
            units=units["unit"].to_pylist(),
            columns=columns(units),
            layouts=self.layouts(),
            pictures=self.pictures(pictures),
            classes=units["classes"].to_pylist() if exemplars is not None else (),
            seen=counted(exemplars, units["unit"].to_pylist()) if exemplars is not None else (),
            duplicate=units["duplicate"].to_pylist(),
            histogram=self.histogram(),
            near=self.near(),
            silent=np.flatnonzero(silent(units)).tolist(),
            layer_units=self.layer_units,
            tables={name: table for name, table in tables.items() if table is not None},
            further=files(self.activations()),
            **self.photographs(exemplars, self.photos),
        )

    @cached_property
    def units(self) -> pa.Table:
        return self.table("units")

    @property
    def layer_units(self) -> dict[str, int]:
        """Among how many units of its layer a unit is ranked, by tap."""
        if "units" not in self.units.column_names:
            return {}
        return dict(zip(self.units["tap"].to_pylist(), self.units["units"].to_pylist(), strict=True))

    @cached_property
    def maps(self) -> Sequence[np.ndarray] | None:
        """The maps of each unit, [k, row, column]; in a table where they are on several grids."""
        table = self.table("maps")
        return self.array("maps") if table is None else unpacked(table)

    @cached_property
    def photos(self) -> pa.Table | None:
        return self.table("photos")

    def activations(self) -> activation_map.Survey | None:
        """The map of an activation atlas, with what its cells add to names."""
        if (data := self.read(activation_map.MAP)) is None:
            return None
        found = [self.read(key) for key in activation_map.parts(list(self.ended.sha256), "names")]
        return activation_map.named(activation_map.mapped(data, self.store), found, self.store)

    def layouts(self) -> list[Layout]:
        found = unseal(self.read("tables/layouts.json"), "tables/layouts.json", _Layouts | list[_Laid])
        return [
            Layout(one.key, one.label, one.columns, one.rows, np.array(one.cells, np.int32), one.bands)
            for one in (found.layouts if isinstance(found, _Layouts) else found)  # older stores have the bare list
        ]

    def pictures(self, table: pa.Table):
        rows = _Rows.of(table, table["number"].to_numpy(), len(self.units))
        series = [*self.manifest.series(self.manifest.unit_list), *retries.begun(self.store, self.manifest)]
        batches = {(one.key, batch.number): (one, batch) for one in series for batch in one.batches}

        @lru_cache(maxsize=32)  # units of a batch are asked for one after another, by a few threads
        def batch(key: str, number: int) -> np.ndarray:
            one, batch = batches[key, number]
            return one.pictures(self.store, batch)[0]

        def pictures(number: int) -> Sequence[Picture]:
            return [
                Picture(
                    batch(row["series"], row["batch"])[row["slot"]],
                    row["made"],
                    row["chosen"],
                    {name: row[name] for name in ABOUT if name in row},
                )
                for row in rows(number)
            ]

        return pictures

    def histogram(self):
        if "photos_histogram" not in self.units.column_names:
            return lambda number: None
        edges = parse_json(self.units.schema.metadata[b"edges"], "the edges in tables/units.parquet", list[float])
        counts = self.units["photos_histogram"]

        def histogram(number: int) -> Histogram:
            """Gives the bins from the first to the last that have photographs."""
            count = counts[number].as_py()
            seen = np.flatnonzero(count)
            first, last = (int(seen[0]), int(seen[-1])) if len(seen) else (0, len(count) - 1)
            return Histogram(edges[first:last], count[first : last + 1])

        return histogram

    def near(self):
        table = self.table("near")
        rows = _Rows.of(table, table["number"].to_numpy(), len(self.units))

        def near(number: int) -> dict[str, list[Neighbour]]:
            found: dict[str, list[Neighbour]] = {}
            for row in rows(number):
                one = Neighbour(row["neighbour"], row["likeness"], row["same_layer"])
                found.setdefault(row["kind"], []).append(one)
            return found

        return near

    def photographs(self, exemplars: pa.Table | None, photos: pa.Table | None) -> dict[str, Any]:
        if exemplars is None:
            return {}
        number = {unit: i for i, unit in enumerate(self.units["unit"].to_pylist())}
        rows = _Rows.of(exemplars, np.array([number[u] for u in exemplars["unit"].to_pylist()]), len(number))
        place = {photo: i for i, photo in enumerate(photos["photo"].to_pylist())}
        scale = scales(self.units)

        def best(unit: int) -> list[Exemplar]:
            return [
                Exemplar(
                    photo=place[r["photo"]],
                    name=r["image"],
                    label=r["class"],
                    score=r["score"],
                    patch=r["patch"],
                    map=activations(self.maps[unit][r["rank"]], r["score"], scale[unit]),
                )
                for r in rows(unit)
                if r["kind"] == "top"
            ]

        def usual(unit: int) -> list[Quantile]:
            return [
                Quantile(r["quantile"], place[r["photo"]], r["image"], r["score"])
                for r in rows(unit)
                if r["kind"] == "quantile"
            ]

        return {
            "exemplars": best,
            "quantiles": usual,
            "photo": lambda number: photos["image"][number].as_py(),
            "photos": len(photos),
        }
