"""Keeps named bytes and Zarr arrays of pictures in a local folder, on GCS or on S3 alike.

Everything goes through TensorStore, which replaces a file as a whole or not at all.
"""

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import tensorstore as ts
from jaxtyping import UInt8

from vitjax.atlas.store.sealed import seal, unseal
from vitjax.errors import InputError
from vitjax.files import legible

T = TypeVar("T")

_FORMS = "a store is a folder, gs://BUCKET/PATH or s3://BUCKET/PATH"
MEND = "`vitjax atlas --verify --repair` forgets it, the next run makes it anew"
_CODES = {
    "No space left": "the disk is full",
    "Disk quota exceeded": "the disk quota is used up",
    "Read-only file system": "it is read-only",
    "Permission denied": "no permission",
    "File too large": "the file is too large for this disk or its limit",
    "Not a directory": "that is no folder",
}


class Unreachable(InputError):
    """A store that cannot be reached, read or written, or whose address is none."""


@dataclass(frozen=True)
class Store:
    """A folder of named bytes.

    Attributes:
        address: a path, `gs://BUCKET/PATH` or `s3://BUCKET/PATH` (`AWS_ENDPOINT_URL` and `AWS_REGION` are honoured).
    """

    address: str

    @property
    def folder(self) -> Path | None:
        """The local folder; None for a store elsewhere."""
        return None if "://" in self.address else Path(self.address)

    def read(self, key: str) -> bytes | None:
        """Reads the bytes under a key, None where there is nothing.

        Raises:
            InputError: it cannot be read, or, in a folder, is no file: a pipe would never answer.
        """
        if self.folder and (mode := _mode(self.folder / key)) and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise InputError(f"{key} in {self.address} is a pipe, socket or device, not a file")
        found = self._do(f"read {key} in", lambda: self._values.read(key).result())
        return found.value if found.state == "value" else None

    def write(self, key: str, data: bytes) -> None:
        """Puts bytes under a key; a kill leaves the old or the new ones."""
        self._do(f"write {key} in", lambda: self._values.write(key, data).result())

    def delete(self, key: str) -> None:
        """Removes a key, if it is there."""
        self._do(f"remove {key} in", lambda: self._values.write(key, None).result())

    def keys(self, prefix: str) -> list[str]:
        """Lists the keys that begin with a prefix, sorted, with "" all, but hidden ones and those that are no UTF-8."""
        span = ts.KvStore.KeyRange(prefix, prefix[:-1] + chr(ord(prefix[-1]) + 1)) if prefix else ts.KvStore.KeyRange()
        found = self._do("list", lambda: self._values.list(span).result())
        names = (name.decode(errors="replace") for name in found)
        return sorted(name for name in names if not name.rpartition("/")[2].startswith(".") and "\ufffd" not in name)

    def create(self, key: str, data: bytes) -> bool:
        """Puts bytes under a key that holds none; False if another was faster."""
        found = self._do(f"read {key} in", lambda: self._values.read(key).result())
        if found.state == "value":
            return False
        put = lambda: self._values.write(key, data, if_equal=found.stamp.generation).result()
        return bool(self._do(f"write {key} in", put).generation)

    def read_json(self, key: str, kind: type[T] = dict[str, Any]) -> T | None:
        """Reads what a key's JSON says, held against a type and its own checksum; None where there is nothing.

        Raises:
            InputError: it is no JSON, of another type, or not what was written.
        """
        data = self.read(key)
        try:
            return None if data is None else unseal(data, "it", kind)
        except InputError as error:
            raise self.damaged(key, str(error)) from None

    def damaged(self, key: str, why: str = "") -> InputError:
        """Makes the error that says so, and what to do; to be raised."""
        return InputError(f"{key} in {self.address} is damaged{f' ({why})' if why else ''}; {MEND}")

    def write_json(self, key: str, value: Mapping[str, Any]) -> None:
        """Puts JSON under a key, with its checksum in it."""
        self.write(key, seal(value))

    def pictures(self, key: str, rows: int, size: tuple[int, int], slots: int) -> "PictureArray":
        """Opens the array of pictures under a key, or makes it: `rows` pictures, a file for each `slots` of them."""
        checked = {"name": "crc32c"}
        codecs = [{"name": "bytes"}, {"name": "zstd", "configuration": {"level": 3}}, checked]
        index = [{"name": "bytes", "configuration": {"endian": "little"}}, checked]
        pieces = {"chunk_shape": [1, *size, 3], "codecs": codecs, "index_codecs": index}
        metadata = {
            "shape": [rows, *size, 3],
            "data_type": "uint8",
            "fill_value": 0,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [slots, *size, 3]}},
            "codecs": [{"name": "sharding_indexed", "configuration": pieces}],
            "dimension_names": ["picture", "height", "width", "color"],
        }
        return self._array(key, {"metadata": metadata}, create=True)

    def existing(self, key: str) -> "PictureArray":
        """Opens the array of pictures that is under a key."""
        return self._array(key, {}, create=False)

    def _array(self, key: str, more: dict[str, Any], create: bool) -> "PictureArray":
        spec = {"driver": "zarr3", "kvstore": self._spec(f"{key}/")} | more
        array = self._do(f"open {key} in", lambda: ts.open(spec, open=True, create=create).result())
        return PictureArray(self, key, array)

    @cached_property
    def _values(self) -> ts.KvStore:
        return self._do("open", lambda: ts.KvStore.open(self._spec("")).result())

    def _spec(self, key: str) -> dict[str, Any]:
        if not self.address or re.match(r"(gs|s3):/?[^/]", self.address):
            raise Unreachable(f"{self.address!r}: {_FORMS}")
        driver, separator, rest = self.address.partition("://")
        if not separator:
            if legible(path := str(Path(self.address).absolute())) != path:
                raise Unreachable(f"{path} is no name in UTF-8, which a store's must be")
            return {"driver": "file", "path": f"{path}/{key}"}
        bucket, _, path = rest.partition("/")
        path = f"{path.strip('/')}/{key}".lstrip("/")
        if driver == "gs":
            return {"driver": "gcs", "bucket": bucket, "path": path}
        if driver != "s3":
            raise Unreachable(f"{self.address}: {_FORMS}")
        spec = {"driver": "s3", "bucket": bucket, "path": path}
        names = {"endpoint": "AWS_ENDPOINT_URL", "aws_region": "AWS_REGION"}
        return spec | {field: os.environ[name] for field, name in names.items() if name in os.environ}

    def _do(self, what: str, call):
        try:
            return call()
        except (ValueError, RuntimeError, OSError) as error:  # TensorStore's errors, by its status codes
            text = " ".join(str(error).split())
            reason = next((said for code, said in _CODES.items() if code in text), text.partition(" [")[0][:300])
            raise Unreachable(f"cannot {what} {self.address}: {reason}") from None


def _mode(path: Path) -> int:
    """Says what kind of thing a path is, 0 where there is nothing."""
    try:
        return os.stat(path).st_mode
    except (OSError, ValueError):
        return 0


@dataclass(frozen=True)
class PictureArray:
    """Pictures in a Zarr (v3) array, uint8 [row, h, w, 3]: a file for each batch, in it each picture compressed apart
    and with its checksum, so that one can be read alone and a damaged one is noticed."""

    store: Store
    key: str
    array: ts.TensorStore

    @property
    def slots(self) -> int:
        """Rows of a batch."""
        return self.array.chunk_layout.write_chunk.shape[0]

    def write(self, batch: int, images: UInt8[np.ndarray, "picture h w 3"]) -> None:
        """Writes a batch's pictures, as one file."""
        whole = np.zeros((self.slots, *images.shape[1:]), np.uint8)
        whole[: len(images)] = images
        rows = slice(batch * self.slots, (batch + 1) * self.slots)
        self.store._do(f"write {self.key} in", lambda: self.array[rows].write(whole).result())

    def read(self, batch: int, count: int) -> UInt8[np.ndarray, "picture h w 3"]:
        """Reads the first `count` pictures of a batch.

        Raises:
            InputError: one of them is damaged.
        """
        rows = slice(batch * self.slots, batch * self.slots + count)
        try:
            return self.array[rows].read().result()
        except (ValueError, RuntimeError) as error:
            said = str(error).partition(":")[0]
            raise InputError(
                f"batch {batch} of {self.key} in {self.store.address} is damaged ({said}); {MEND}"
            ) from None
