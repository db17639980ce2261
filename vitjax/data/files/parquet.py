"""Reads the images in the rows of parquet files: whole row groups, as they are needed, of which a few are kept.

What is in memory at once: the row group being read, the last `KEPT` of them, and earlier ones as long as all that are
kept hold at most `KEPT_BYTES`.
"""

import zlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from vitjax.data.files.images import Images, folders
from vitjax.data.files.readers import existing, walk
from vitjax.data.files.splits import choose
from vitjax.errors import InputError
from vitjax.files import open_regular, parse_json

IMAGES = ("image", "img", "jpg", "png", "webp")  # columns to prefer where several could hold the images
LABELS = ("label", "labels", "fine_label", "cls")
KEPT = 2
KEPT_BYTES = 256 * 2**20
END = 2**16  # bytes of a file in which its footer mostly lies


def open_files(path: str | Path, split: str | None = None) -> Images:
    """Opens a .parquet file or a folder of them.

    Args:
        path: the file, or the top of the folder.
        split: which of the files, see `choose`.

    Raises:
        InputError: nothing there, no such split, or what `table` raises.
    """
    path = existing(path, "images")
    root = path if path.is_dir() else path.parent
    names = [name for name in walk(path) if name.endswith(".parquet")] if path.is_dir() else [path.name]
    chosen, called = choose(names, split, str(path))
    source = str(path) if len(chosen) == len(names) else f"{path} ({called})"
    return table([root / name for name in chosen], source, called)


def table(files: Sequence[Path], source: str, called: str) -> Images:
    """Takes the rows of parquet files, one after another, as images.

    The image column is the first of `IMAGES` that holds encoded images, or else the first column that does: bytes, or a
    struct with `bytes` and, if it likes, `path`, as the hub's data sets have it. The classes are the first of `LABELS`
    with whole numbers in every file, called as the table describes them (`ClassLabel`). Images are called by their
    `path` where every row has its own, or else by the split and the row, `validation/000123`.

    Args:
        files: all with the same columns.
        source: how the user named the data set.
        called: the split's name.

    Raises:
        InputError: a file that cannot be read or lacks the columns of the others, no image column, or no rows.
    """
    shapes = []
    for file in files:
        with _opened(file) as parquet:
            counts = [parquet.metadata.row_group(i).num_rows for i in range(parquet.num_row_groups)]
            shapes.append((parquet.schema_arrow, counts))
    schemas = [schema for schema, _ in shapes]
    leaf = _image_column(schemas[0], files[0])
    for file, schema in zip(files, schemas, strict=True):
        if leaf not in _image_columns(schema):
            raise InputError(f"{file} has no images in {leaf}, {files[0]} has")
    label = next((name for name in LABELS if all(_whole_numbers(schema, name) for schema in schemas)), None)
    starts = np.cumsum([0, *(count for _, counts in shapes for count in counts)])
    if not starts[-1]:
        raise InputError(f"no images in {source}: its table has no rows")
    groups = tuple((file, i) for file, (_, counts) in zip(files, shapes, strict=True) for i in range(len(counts)))
    names = _paths(files, schemas, leaf)
    if names is None:
        names = tuple(f"{called if called != '.' else 'row'}/{row:06d}" for row in range(starts[-1]))
    classes = None if label is None else np.concatenate([_classes(file, label) for file in files])
    kinds = () if label is None else _kinds(schemas, label, source)
    rows = _Rows(leaf, groups, starts)
    return Images(source, names, rows, column=classes, folders=folders(names), kinds=kinds, peek=rows.peek)


@dataclass(frozen=True)
class _Info:
    features: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Described:
    """What `datasets` writes into a table's metadata, as far as it is read here."""

    info: _Info = field(default_factory=_Info)


@contextmanager
def _opened(file: Path) -> Iterator[pq.ParquetFile]:
    open_regular(file).close()  # a pipe would never answer
    try:
        with pq.ParquetFile(file) as parquet:
            yield parquet
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{file} is not a readable parquet file: {next(iter(str(error).splitlines()), '')}") from None


def _column(file: Path, path: str) -> pa.ChunkedArray:
    """Reads a column of a file; for a path like `image.path`, that field of the struct."""
    with _opened(file) as parquet:
        return _field(parquet.read(columns=[path]).column(0))


def _classes(file: Path, label: str) -> np.ndarray:
    """Reads the label column, with -1 where there is none."""
    return _column(file, label).cast(pa.int64(), safe=False).fill_null(-1).to_numpy()


def _kinds(schemas: Sequence[pa.Schema], label: str, source: str) -> tuple[str, ...]:
    """Reads what the hub's description of the label column calls its classes; () where it does not.

    Raises:
        InputError: files whose descriptions differ.
    """
    found = set()
    for schema in schemas:
        described = (schema.metadata or {}).get(b"huggingface", b"{}")
        with suppress(InputError):  # a description that is none says nothing
            feature = parse_json(described, source, _Described).info.features.get(label)
            names = feature.get("names") if isinstance(feature, dict) else None
            found.add(tuple(map(str, names or ())))
    if len(found) > 1:
        raise InputError(f"the files of {source} do not agree on the names of the classes in {label}")
    return next(iter(found), ())


def _field(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.struct_field(column, [0]) if pa.types.is_struct(column.type) else column


def _binary(kind: pa.DataType) -> bool:
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind)


def _text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def _whole_numbers(schema: pa.Schema, name: str) -> bool:
    return schema.get_field_index(name) >= 0 and pa.types.is_integer(schema.field(name).type)


def _image_columns(schema: pa.Schema) -> list[str]:
    """Lists the columns of bytes, by their paths, `image` or `image.bytes`."""
    return [
        column.name if _binary(column.type) else f"{column.name}.bytes"
        for column in schema
        if _binary(column.type) or _binary(_inner(column.type, "bytes"))
    ]


def _image_column(schema: pa.Schema, file: Path) -> str:
    found = {path.removesuffix(".bytes"): path for path in _image_columns(schema)}
    if not found:
        raise InputError(f"{file} has no column of images, it has {', '.join(f'{c.name} ({c.type})' for c in schema)}")
    return next(found[name] for name in (*IMAGES, *found) if name in found)


def _paths(files: Sequence[Path], schemas: Sequence[pa.Schema], leaf: str) -> tuple[str, ...] | None:
    """Reads what the struct's `path` calls every row, where there is such a field and no two rows are called alike."""
    column, _, inner = leaf.rpartition(".")
    if inner != "bytes" or not all(_text(_inner(schema.field(column).type, "path")) for schema in schemas):
        return None
    names = tuple(name for file in files for name in _column(file, f"{column}.path").to_pylist())
    return names if all(names) and len(set(names)) == len(names) else None


def _inner(kind: pa.DataType, name: str) -> pa.DataType:
    """Gives the type of a struct's field; of nothing where there is none."""
    return kind.field(name).type if pa.types.is_struct(kind) and kind.get_field_index(name) >= 0 else pa.null()


@dataclass(frozen=True, eq=False)
class _Rows:
    """Reads the image of a row.

    Attributes:
        leaf: the column's path.
        groups: file and number of each row group.
        starts: the first row of each, and the number of all rows.
        kept: {place in `groups`: its images, or why it cannot be read}, the last used last.
        ends: {file: what `peek` gives for its rows}.
    """

    leaf: str
    groups: tuple[tuple[Path, int], ...]
    starts: np.ndarray
    kept: OrderedDict[int, pa.ChunkedArray | str] = field(default_factory=OrderedDict)
    ends: dict[Path, bytes] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)

    def __call__(self, place: int) -> bytes:
        group = int(np.searchsorted(self.starts, place, side="right")) - 1
        with self.lock:  # whoever needs a row group that another thread is reading waits for it
            images = self._group(group)
        if isinstance(images, str):
            raise InputError(images)
        data = images[place - int(self.starts[group])].as_py()
        if data is None:
            raise InputError("the row holds no image")
        return data

    def peek(self, place: int) -> bytes:
        """Reads the size and the end of the row's file, where its statistics and the lengths of its columns are."""
        file = self.groups[int(np.searchsorted(self.starts, place, side="right")) - 1][0]
        with self.lock:
            if file not in self.ends:
                with open_regular(file) as opened:
                    size = opened.seek(0, 2)
                    opened.seek(max(0, size - END))
                    self.ends[file] = b"%d %08x" % (size, zlib.crc32(opened.read()))
            return self.ends[file]

    def _group(self, group: int) -> pa.ChunkedArray | str:
        if group not in self.kept:
            file, number = self.groups[group]
            try:
                with _opened(file) as parquet:
                    self.kept[group] = _field(parquet.read_row_group(number, columns=[self.leaf]).column(0))
            except InputError as error:
                self.kept[group] = str(error)
            while len(self.kept) > KEPT and sum(getattr(kept, "nbytes", 0) for kept in self.kept.values()) > KEPT_BYTES:
                self.kept.popitem(last=False)
        self.kept.move_to_end(group)
        return self.kept[group]

    def __reduce__(self):
        return _Rows, (self.leaf, self.groups, self.starts)
