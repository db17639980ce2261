"""What an opened atlas reads: a store, as its page's contents say, or the files of an exported folder."""

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
import pyarrow as pa
from PIL import Image
from pyarrow import parquet

from vitjax.atlas.page import scripts
from vitjax.atlas.page.kept.kept_maps import activations
from vitjax.atlas.page.reader import contents
from vitjax.atlas.store.folder import MARK
from vitjax.atlas.store.store import Store
from vitjax.errors import InputError
from vitjax.files import open_regular, read_bytes

T = TypeVar("T")


class Stored:
    """A finished store."""

    def __init__(self, store: Store):
        self._contents = contents(store)

    @cached_property
    def about(self) -> Mapping[str, Any]:
        """What the page says of it."""
        return scripts.plain(scripts.atlas(self._contents, {}))

    @property
    def tables(self) -> Mapping[str, pa.Table]:
        """The tables, as they were written."""
        return self._contents.tables

    def pictures(self, number: int) -> list[np.ndarray]:
        """The pictures, as they were made."""
        return [one.image for one in sorted(self._contents.pictures(number), key=lambda one: not one.chosen)]

    def maps(self, number: int) -> list[np.ndarray | None]:
        """The maps."""
        return [one.map for one in self._contents.exemplars(number)]

    def photographs(self, number: int) -> list[np.ndarray]:
        """The photographs."""
        files = (self._contents.photo(one.photo) for one in self._contents.exemplars(number))
        return [_decoded(io.BytesIO(data)) for data in files]

    def near(self, number: int) -> dict[str, list[tuple[int, float]]]:
        """The neighbours."""
        return {kind: [(one.unit, one.likeness) for one in some] for kind, some in self._contents.near(number).items()}


class Exported:
    """An exported folder, of schema 1 or 2."""

    def __init__(self, folder: Path):
        self._folder = folder
        self.about = scripts.unscript(read_bytes(folder / MARK), str(folder / MARK))
        if self.about["schema"] > scripts.SCHEMA:
            raise InputError(f"{folder} is of schema {self.about['schema']}, this vitjax reads up to {scripts.SCHEMA}")
        self._first = np.array([tap["first"] for tap in self.about["taps"]])

    @cached_property
    def tables(self) -> Mapping[str, pa.Table]:
        """The tables that lie in the folder."""
        return {name: self._read(f"{name}.parquet", parquet.read_table) for name in self.about["tables"]}

    def pictures(self, number: int) -> list[np.ndarray]:
        """The pictures: the PNGs where there are any."""
        files = [Path(one["file"]) for one in self._detail(number)["pictures"]]
        best = [png if (self._folder / (png := file.with_suffix(".png"))).exists() else file for file in files]
        return [self._read(file, _decoded) for file in best]

    def maps(self, number: int) -> list[np.ndarray | None]:
        """The maps, of schema 1 as well as can be."""
        detail = self._detail(number)
        return [self._map(one, detail.get("scale")) for one in detail["exemplars"]]

    def _map(self, exemplar: Mapping[str, Any], scale: float | None) -> np.ndarray | None:
        if exemplar["map"] is None:
            return None
        heights = np.frombuffer(base64.b64decode(exemplar["map"]), np.uint8)
        return activations(heights.reshape(exemplar.get("grid", self.about["grid"])), exemplar["score"], scale)

    def photographs(self, number: int) -> list[np.ndarray]:
        """The photographs."""
        photos = [one["photo"] for one in self._detail(number)["exemplars"]]
        return [self._read(f"photos/{photo:06d}.webp", _decoded) for photo in photos]

    def near(self, number: int) -> dict[str, list[tuple[int, float]]]:
        """The neighbours."""
        near = self._detail(number)["near"]
        return {kind: [(one["unit"], one["likeness"]) for one in some] for kind, some in near.items()}

    def _read(self, file: str | Path, reader: Callable[[BinaryIO], T]) -> T:
        """What a reader makes of a file of the folder; an InputError for one that is not there or damaged."""
        with open_regular(path := self._folder / file) as opened:
            try:
                return reader(opened)
            except (pa.ArrowException, OSError, SyntaxError, ValueError) as error:  # SyntaxError: Pillow's, of a PNG
                why = next(iter(str(error).splitlines()), type(error).__name__)
                raise InputError(f"{path} is damaged ({why}): export the atlas again") from None

    def _detail(self, number: int) -> Mapping[str, Any]:
        tap = self.about["taps"][int(np.searchsorted(self._first, number, side="right")) - 1]
        part, place = divmod(number - tap["first"], self.about["detail"]["per"])
        return self._part(tap["tap"], part)[place]

    @lru_cache(maxsize=8)  # noqa: B019, an atlas is opened once
    def _part(self, tap: str, part: int) -> Sequence[Mapping[str, Any]]:
        path = self._folder / f"data/detail/{tap}/{part:04d}.js"
        return scripts.unscript(read_bytes(path), str(path), list[dict[str, Any]])


def _decoded(file: BinaryIO) -> np.ndarray:
    """An image file as uint8 [height, width, 3]."""
    return np.asarray(Image.open(file).convert("RGB"))
