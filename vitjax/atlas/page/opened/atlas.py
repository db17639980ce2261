"""Opens an atlas, a store or an exported folder, for programs: tables, pictures, photographs, maps, neighbours."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Integral
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from jaxtyping import Float, UInt8

from vitjax.errors import InputError, nearest


class Source(Protocol):
    """Where an atlas's parts come from; units are given by number."""

    about: Mapping[str, Any]
    tables: Mapping[str, pa.Table]

    def pictures(self, number: int) -> Sequence[np.ndarray]:
        """The pictures of a unit, the chosen one first."""

    def maps(self, number: int) -> Sequence[np.ndarray | None]:
        """The maps over a unit's best photographs."""

    def photographs(self, number: int) -> Sequence[np.ndarray]:
        """A unit's best photographs."""

    def near(self, number: int) -> Mapping[str, Sequence[tuple[int, float]]]:
        """The units most like it, with their likeness."""


@dataclass(frozen=True, repr=False)
class Atlas:
    """An atlas: what units there are, their grades, pictures and photographs.

    Units are given by name, "blocks.3.mlp.hidden:17", or by number, their row in `units`.

    Attributes:
        where: what was opened.
    """

    where: str
    _source: Source = field()

    @property
    def about(self) -> Mapping[str, Any]:
        """Title, model, recipe, seeds, data, versions, and the schema of the format (docs/atlas_format.md)."""
        return self._source.about

    @property
    def tables(self) -> Mapping[str, pa.Table]:
        """Tables of pyarrow by name: "units", "pictures" and, where there are photographs, "exemplars"."""
        return self._source.tables

    @property
    def units(self) -> pa.Table:
        """A row for each unit: its name, tap, index, verdict and grades, classes; by unit number."""
        return self.tables["units"]

    def to_pandas(self, table: str = "units"):
        """Gives a table as a DataFrame of pandas.

        Raises:
            InputError: there is no such table, or pandas is not installed.
        """
        if table not in self.tables:
            raise InputError(f"the atlas has no table {table!r}{nearest(table, self.tables)}")
        try:
            return self.tables[table].to_pandas()
        except ImportError:
            raise InputError("pandas is not installed: pip install pandas, or use the pyarrow table itself") from None

    def number(self, unit: str | int) -> int:
        """The number of a unit.

        Raises:
            InputError: there is no such unit.
        """
        if isinstance(unit, str):
            if unit not in self._numbers:
                raise InputError(f"the atlas has no unit {unit!r}{nearest(unit, self._numbers)}")
            return self._numbers[unit]
        if not (isinstance(unit, Integral) and 0 <= unit < len(self)):
            raise InputError(f"the atlas has units 0 to {len(self) - 1}, not {unit}")
        return int(unit)

    def picture(self, unit: str | int, place: int = 0) -> UInt8[np.ndarray, "height width 3"]:
        """A unit's picture, the chosen one, or another by its `place`.

        As it was made out of a store and of exports with PNGs; of others as their WebP says, which is near it.

        Raises:
            InputError: there is no such unit or picture.
        """
        found = self._source.pictures(self.number(unit))
        if not 0 <= place < len(found):
            raise InputError(f"{self.name(unit)} has {len(found)} pictures, not a {place + 1}th")
        return found[place]

    def maps(self, unit: str | int) -> list[Float[np.ndarray, "row column"] | None]:
        """The unit's activation at each patch of its best photographs, below 0 cut off, in the order of `exemplars`."""
        return list(self._source.maps(self.number(unit)))

    def photographs(self, unit: str | int) -> list[UInt8[np.ndarray, "height width 3"]]:
        """A unit's best photographs as the model saw them."""
        return list(self._source.photographs(self.number(unit)))

    def near(self, unit: str | int) -> dict[str, list[tuple[str, float]]]:
        """The units most like it by "looks" and, with photographs, by "responses": their names and the cosine."""
        found = self._source.near(self.number(unit))
        return {kind: [(self.name(number), likeness) for number, likeness in some] for kind, some in found.items()}

    def name(self, unit: str | int) -> str:
        """The name of a unit."""
        return self._names[self.number(unit)]

    @cached_property
    def _names(self) -> list[str]:
        return self.units["unit"].to_pylist()

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self._names)}

    def __len__(self) -> int:
        return len(self.units)

    def __repr__(self) -> str:
        return f"Atlas({self.about['title']!r}, {len(self):,} units, tables {', '.join(self.tables)}, {self.where!r})"


def open_atlas(path: str | os.PathLike) -> Atlas:
    """Opens an atlas for reading: tables, pictures, photographs, activation maps, neighbours.

    >>> atlas = vitjax.open_atlas("atlas")
    >>> atlas.units.filter(pyarrow.compute.field("rise") > 1.5)["unit"]
    >>> atlas.to_pandas("exemplars").groupby("class").size()
    >>> atlas.picture("blocks.3.mlp.hidden:17")

    Args:
        path: a finished store (a folder, gs://BUCKET/PATH or s3://BUCKET/PATH), or the folder of an exported atlas.

    Raises:
        InputError: there is no atlas, it is not finished, or something in it is damaged.
    """
    from vitjax.atlas.page.opened.sources import Exported, Stored
    from vitjax.atlas.store.folder import is_export
    from vitjax.atlas.store.store import Store

    where = os.fspath(path)
    folder = Path(where).expanduser()
    return Atlas(where, Exported(folder) if is_export(folder) else Stored(Store(where)))
