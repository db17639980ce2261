"""Tables of images: files and splits, columns, names, classes, and row groups that are read once."""

import json
import pickle
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.pictures import CONFIG, level, rows, unpack
from vitjax.data.annotations.labels import labels
from vitjax.data.dataset import open_dataset
from vitjax.data.files import parquet
from vitjax.data.files.open import open_images
from vitjax.data.files.splits import absent, choose
from vitjax.data.pipeline import Batches
from vitjax.errors import InputError
from vitjax.models.core.class_names import ClassNames

DATA = [level(i) for i in range(30)]
PLAIN = pa.table({"image": pa.array(DATA, pa.binary())})


@pytest.fixture
def reads(monkeypatch):
    """(file, row group) of every one that is read."""
    found = []

    def read(self, number, original=pq.ParquetFile.read_row_group, **options):
        found.append((self.metadata.row_group(number).num_rows, number))
        return original(self, number, **options)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", read)
    return found


def write(path, table, group=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=group)


def test_what_the_hub_writes_comes_back(tmp_path):
    """Struct of bytes and path, two files, several row groups, classes."""
    table = rows({f"n{i}.png": data for i, data in enumerate(DATA)}, label=[i % 4 for i in range(30)])
    write(tmp_path / "data" / "val-00000-of-00002.parquet", table.slice(0, 17), 5)
    write(tmp_path / "data" / "val-00001-of-00002.parquet", table.slice(17), 5)
    images = open_images(tmp_path)
    assert images.names == tuple(f"n{i}.png" for i in range(30))
    assert [images.read(i) for i in range(30)] == DATA
    assert images.column.tolist() == [i % 4 for i in range(30)]
    part = pickle.loads(pickle.dumps(images.take([29, 3])))
    assert part.read(0) == DATA[29] and part.read(1) == DATA[3] and part.column.tolist() == [1, 3]
    data = open_dataset(tmp_path, CONFIG, split="val", limit=10)
    assert data.labels_for(SimpleNamespace(config=CONFIG)).tolist() == [0, 3, 2, 1, 0, 3, 2, 1, 0, 3]


def test_classes_are_called_as_the_table_describes_them(tmp_path):
    def described(*names: str, **others) -> dict[str, str]:
        features = {"label": {"names": names, "_type": "ClassLabel"}, "objects": [{"box": {"dtype": "int64"}}]} | others
        return {"huggingface": json.dumps({"info": {"features": features}})}

    table = PLAIN.append_column("label", pa.array([i % 4 for i in range(30)]))
    write(tmp_path / "a/0000.parquet", table.replace_schema_metadata(described("eel", "cat", "dog", "ant")))
    images = open_images(tmp_path / "a")
    assert images.kinds == images.some(3).kinds == ("eel", "cat", "dog", "ant")
    names = ClassNames(("Ant", "Cat", "Dog", "Eel"))
    assert labels(images.take(range(4)), 4, names=names).tolist() == [3, 1, 2, 0]
    write(tmp_path / "a/0001.parquet", table.replace_schema_metadata(described("cat", "eel", "dog", "ant")))
    with pytest.raises(InputError, match="do not agree on the names of the classes in label"):
        open_images(tmp_path / "a")
    for i, nothing in enumerate(
        [None, {"huggingface": "{"}, described(label={"dtype": "int64"}), described(label=[3])]
    ):
        write(tmp_path / f"b/{i}/0000.parquet", table.replace_schema_metadata(nothing))
        assert open_images(tmp_path / f"b/{i}").kinds == ()


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.binary_view()], ids=str)
def test_plain_columns_of_bytes(tmp_path, kind):
    write(tmp_path / "all.parquet", pa.table({"id": range(30), "webp": pa.array(DATA, kind)}), 7)
    images = open_images(tmp_path / "all.parquet")
    assert images.names[:2] == ("row/000000", "row/000001") and images.column is None
    assert [images.read(i) for i in (29, 0, 7)] == [DATA[29], DATA[0], DATA[7]]


def test_a_table_s_pixels_are_a_folder_s(tmp_path):
    files = {f"{i:02d}.png": data for i, data in enumerate(DATA)}
    write(tmp_path / "t" / "0000.parquet", rows(files), 4)
    table, folder = open_images(tmp_path / "t"), open_images(unpack(tmp_path / "f", files))
    assert table.names == folder.names
    for a, b in zip(Batches(table, CONFIG, 7), Batches(folder, CONFIG, 7), strict=True):
        assert np.array_equal(a.place, b.place) and np.array_equal(a.images, b.images)


def test_names_that_are_missing_or_double_are_numbers(tmp_path):
    struct = PLAIN["image"].type
    cases = {
        "double": pa.array([{"bytes": data, "path": "same.png"} for data in DATA]),
        "missing": pa.array([{"bytes": data, "path": f"{i}.png" if i else None} for i, data in enumerate(DATA)]),
        "absent": pa.array([{"bytes": data} for data in DATA], pa.struct([("bytes", struct)])),
    }
    for case, column in cases.items():
        write(tmp_path / case / "test-00000-of-00001.parquet", pa.table({"image": column}), 8)
        images = open_images(tmp_path / case)
        assert images.names == tuple(f"test/{i:06d}" for i in range(30))
        assert [images.read(i) for i in range(30)] == DATA


def test_the_image_column_is_the_likely_one(tmp_path):
    other = pa.array([b"sound"] * 30)
    write(tmp_path / "a.parquet", pa.table({"audio": other, "img": DATA, "jpg": other}))
    write(tmp_path / "b.parquet", pa.table({"key": range(30), "picture": DATA, "sound": other}))
    assert all(open_images(tmp_path / file).read(3) == DATA[3] for file in ("a.parquet", "b.parquet"))


@pytest.mark.parametrize(
    ("columns", "wanted"),
    [
        ({"label": pa.array([0, None, 2], pa.uint8())}, [0, -1, 2]),
        ({"labels": [3, 1, 2], "fine_label": [0, 0, 0]}, [3, 1, 2]),
        ({"label": ["cat", "dog", "eel"], "cls": [1, 2, 3]}, [1, 2, 3]),
        ({"label": [[1], [2], [3]]}, None),
        ({"label": [0.5, 1, 2]}, None),
        ({"target": [1, 2, 3]}, None),
    ],
)
def test_classes_are_whole_numbers(tmp_path, columns, wanted):
    write(tmp_path / "a.parquet", pa.table({"image": DATA[:3]} | columns))
    column = open_images(tmp_path / "a.parquet").column
    assert (None if column is None else column.tolist()) == wanted


def test_a_row_without_an_image_is_left_out(tmp_path):
    column = pa.array(
        [{"bytes": DATA[0], "path": "0"}, {"bytes": None, "path": "1"}, None, {"bytes": DATA[3], "path": "3"}]
    )
    write(tmp_path / "a.parquet", pa.table({"image": column}))
    batches = Batches(open_images(tmp_path), CONFIG, 4)
    assert [batch.place.tolist() for batch in batches] == [[0, -1, -1, 3]]
    assert batches.unreadable == dict.fromkeys(["row/000001", "row/000002"], "the row holds no image")


def test_each_row_group_is_read_once(tmp_path, reads):
    for name, part in (("0000.parquet", PLAIN.slice(0, 13)), ("0001.parquet", PLAIN.slice(13))):
        write(tmp_path / name, part, 5)
    batches = Batches(open_images(tmp_path), CONFIG, 4)
    assert [int(place) for batch in batches for place in batch.place] == [*range(30), -1, -1]
    assert reads == [(5, 0), (5, 1), (3, 2), (5, 0), (5, 1), (5, 2), (2, 3)]


def test_many_threads_read_a_row_group_once(tmp_path, reads):
    write(tmp_path / "a.parquet", PLAIN, 10)
    images, start = open_images(tmp_path), threading.Barrier(15)

    def read(place):
        start.wait(10)
        return images.read(place)

    with ThreadPoolExecutor(15) as pool:
        assert list(pool.map(read, range(15))) == DATA[:15]
    assert Counter(reads) == {(10, 0): 1, (10, 1): 1}


def test_few_row_groups_are_kept(tmp_path, reads, monkeypatch):
    write(tmp_path / "a.parquet", PLAIN, 5)
    images = open_images(tmp_path)
    monkeypatch.setattr(parquet, "KEPT_BYTES", 0)
    for place in (0, 5, 0, 10, 0, 5):
        assert images.read(place) == DATA[place]
    assert [number for _, number in reads] == [0, 1, 2, 1]  # the last two that were used
    assert len(images.read.kept) == 2


def test_only_the_image_column_is_read(tmp_path, monkeypatch):
    write(tmp_path / "a.parquet", rows({str(i): data for i, data in enumerate(DATA)}, caption=["x" * 99] * 30))
    asked = []
    original = pq.ParquetFile.read_row_group
    monkeypatch.setattr(pq.ParquetFile, "read_row_group", lambda *a, **k: (asked.append(k), original(*a, **k))[1])
    open_images(tmp_path).read(3)
    assert asked == [{"columns": ["image.bytes"]}]


def test_damage_is_named(tmp_path):
    write(tmp_path / "a" / "0000.parquet", PLAIN, 10)
    whole = (tmp_path / "a" / "0000.parquet").read_bytes()
    unpack(tmp_path, {"cut.parquet": whole[:-30], "none.parquet": b"", "b/0000.parquet": whole, "b/0001.parquet": b"x"})
    for name, file in (("cut.parquet", "cut"), ("none.parquet", "none"), ("b", "0001")):
        with pytest.raises(InputError, match=rf"{file}\.parquet is not a readable parquet file: ") as caught:
            open_images(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_a_damaged_row_group_costs_its_rows(tmp_path, reads):
    write(tmp_path / "a.parquet", PLAIN, 10)
    data = bytearray((tmp_path / "a.parquet").read_bytes())
    with pq.ParquetFile(tmp_path / "a.parquet") as file:
        pages = file.metadata.row_group(1).column(0)
    data[pages.data_page_offset : pages.data_page_offset + 40] = b"\xff" * 40
    (tmp_path / "a.parquet").write_bytes(data)
    batches = Batches(open_images(tmp_path), CONFIG, 30)
    (batch,) = batches
    assert batch.place.tolist() == [*range(10), *[-1] * 10, *range(20, 30)]
    assert list(batches.unreadable) == [f"row/{i:06d}" for i in range(10, 20)]
    assert all("a.parquet is not a readable parquet file" in reason for reason in batches.unreadable.values())
    assert [number for _, number in reads] == [0, 1, 2]


def test_what_is_no_table_of_images(tmp_path):
    write(tmp_path / "text.parquet", pa.table({"caption": ["a"], "n": [1]}))
    with pytest.raises(
        InputError, match=r"text\.parquet has no column of images, it has caption \(string\), n \(int64\)"
    ):
        open_images(tmp_path / "text.parquet")
    write(tmp_path / "empty" / "a.parquet", PLAIN.slice(0, 0))
    with pytest.raises(InputError, match=r"no images in .*empty: its table has no rows"):
        open_images(tmp_path / "empty")
    write(tmp_path / "two" / "0000.parquet", PLAIN)
    write(tmp_path / "two" / "0001.parquet", pa.table({"img": DATA}))
    with pytest.raises(InputError, match=r"0001\.parquet has no images in image, .*0000\.parquet has"):
        open_images(tmp_path / "two")


SPLITS = {  # how files are called: the split's name, and what it is called for short
    "train-00000-of-00002.parquet": "train",
    "train-00001-of-00002-b42b0a9f3f1b9a4c.parquet": "train",
    "data/validation-00000-of-00001.parquet": "validation",
    "default/test/0000.parquet": "test",
    "val/part-3.parquet": "val",
    "dev/shards/12/x.parquet": "dev",
    "imagenet_eval_0.parquet": "imagenet_eval",
    "all/extra_clean-00000-of-00001.parquet": "extra_clean",
    "unlabelled/0003.parquet": "unlabelled",
    "valid.parquet": "valid",
    "val2017/a.parquet": "val2017",
    "cats.parquet": ".",
    "dogs.parquet": ".",
}


def test_splits_are_told_by_their_files():
    for split in set(SPLITS.values()):
        wanted = sorted(name for name, called in SPLITS.items() if called == split)
        assert choose(list(SPLITS), split, "it") == (wanted, split)
    with pytest.raises(InputError, match=r"it has several splits, name one: validation, test$"):
        choose(list(SPLITS)[2:4], None, "it")
    with pytest.raises(InputError, match=r"it has no split 'tset', it has validation, test \(did you mean test"):
        choose(list(SPLITS)[2:4], "tset", "it")
    assert choose(["b/x.parquet", "b/a.parquet"], None, "it") == (["b/a.parquet", "b/x.parquet"], "b")


def test_configurations_are_told_apart():
    names = ["full/val/0000.parquet", "full/train/0000.parquet", "cropped/val/0000.parquet"]
    assert choose(names, "cropped/val", "it") == (names[2:], "cropped/val")
    assert choose(names, "train", "it") == (names[1:2], "train")
    with pytest.raises(InputError, match=r"no split 'val', it has cropped/val, train, full/val \(did you mean"):
        choose(names, "val", "it")


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (["a-00000-of-00003.parquet", "a-00002-of-00003.parquet"], 1),
        (["a-00000-of-00001.parquet"], 0),
        (["x/0001.parquet", "x/0003.parquet"], 2),
        (["x/0000.parquet", "x/0001.parquet"], 0),
        (["part-7.parquet", "cats.parquet"], 0),
    ],
)
def test_files_that_are_absent(names, wanted):
    assert absent(names) == wanted


def test_a_folder_s_split(tmp_path):
    for i, name in enumerate(("train-00000-of-00001", "validation-00000-of-00001", ".cache/x")):
        write(tmp_path / f"{name}.parquet", PLAIN.slice(i, 2))
    images = open_images(tmp_path, "validation")
    assert images.names == ("validation/000000", "validation/000001") and images.read(1) == DATA[2]
    assert images.source == f"{tmp_path} (validation)"
    assert open_images(tmp_path / "train-00000-of-00001.parquet", "train").read(0) == DATA[0]
    with pytest.raises(InputError, match="has several splits, name one: train, validation"):
        open_images(tmp_path)
    with pytest.raises(
        InputError, match=r"has no split 'vlidation', it has train, validation \(did you mean validation"
    ):
        open_images(tmp_path, "vlidation")
