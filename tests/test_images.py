"""Data sets as lists of images: the same order and names from folders and zips, whatever else lies there."""

import pickle
import zipfile

import numpy as np
import pytest

from tests.pictures import level, levels, pack, unpack
from vitjax.data.images import open_images
from vitjax.errors import InputError

FILES = {f"{name}.png": level(i) for i, name in enumerate(("b/2", "a", "b/10", "b/c/1"))}
OTHERS = {"notes.txt": b"one\n", "b/list.csv": b"", ".hidden.png": level(9), ".git/x.png": level(9)}
NAMES = ("a.png", "b/10.png", "b/2.png", "b/c/1.png")


@pytest.fixture(params=["folder", "zip"])
def opened(request, tmp_path):
    """Both ways to the same files, among others that are none of it."""
    files = FILES | OTHERS | {"__MACOSX/b/._2.png": b"", "__MACOSX/3.png": b""}
    return open_images(unpack(tmp_path / "all", files) if request.param == "folder" else pack(tmp_path / "z", files))


def test_folders_and_zips_hold_the_same_images(opened):
    assert opened.names == NAMES
    assert [opened.read(i) for i in range(4)] == [FILES[name] for name in NAMES]
    assert dict(opened.texts) == {"notes.txt": "one\n"} and "missing.txt" not in opened.texts
    assert opened.folders == ("", "b", "b/c")
    assert opened.column is None


def test_images_are_read_in_another_process(opened):
    there = pickle.loads(pickle.dumps(opened.take([2, 0])))
    assert there.names == ("b/2.png", "a.png") and there.read(0) == FILES["b/2.png"]
    assert there.texts["notes.txt"] == "one\n"


def test_one_image_file_is_a_data_set_of_one(tmp_path):
    unpack(tmp_path, {"one.PNG": level(3), "two.png": level(4)})
    images = open_images(tmp_path / "one.PNG")
    assert images.names == ("one.PNG",) and images.read(0) == level(3)
    with pytest.raises(InputError, match=r"did you mean two\.png\?"):
        open_images(tmp_path / "twi.png")


def test_linked_folders_are_entered_once(tmp_path):
    unpack(tmp_path / "store", {"1.png": level(1)})
    unpack(tmp_path / "set", {"own/0.png": level(0)})
    (tmp_path / "set" / "linked").symlink_to(tmp_path / "store")
    (tmp_path / "store" / "loop").symlink_to(tmp_path / "set")
    assert open_images(tmp_path / "set").names == ("linked/1.png", "own/0.png")


def test_some_are_evenly_spaced():
    images = levels(10)
    assert [images.some(n).names for n in (None, 10, 99)] == [images.names] * 3
    assert images.some(4).names == ("000.png", "002.png", "005.png", "007.png")
    assert images.some(3).read(1) == level(3) and images.some(5).some(2).read(1) == level(4)
    for count in range(1, 97):
        places = [int(name[:3]) for name in levels(97).some(count).names]
        assert places[0] == 0 and set(np.diff([*places, 97])) <= {97 // count, 97 // count + 1}
    for count in (0, -3):
        with pytest.raises(InputError, match=f"limit is {count}, "):
            images.some(count)


def test_classes_follow_the_images_that_are_taken():
    from dataclasses import replace

    images = replace(levels(6), column=np.array([5, 4, 3, 2, 1, 0]))
    assert images.some(3).take([2, 0]).column.tolist() == [1, 5]


def test_a_name_twice_in_a_zip_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "twice.zip", "w") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("a.png", level(1))
        archive.writestr("a.png", level(2))
    with pytest.raises(InputError, match=r"twice\.zip holds a\.png twice: which one is meant"):
        open_images(tmp_path / "twice.zip")


def test_a_damaged_zip_is_named(tmp_path):
    whole = pack(tmp_path / "whole.zip", FILES).read_bytes()
    damaged = bytearray(whole)
    damaged[whole.index(level(1)) + 9] ^= 255
    (tmp_path / "damaged.zip").write_bytes(damaged)
    images = open_images(tmp_path / "damaged.zip")
    with pytest.raises(InputError, match=r"not readable from the zip: Bad CRC-32 for file 'a\.png'"):
        images.read(0)
    assert images.read(1) == FILES[NAMES[1]]
    (tmp_path / "cut.zip").write_bytes(whole[:200] + whole[-22:])
    with pytest.raises(InputError, match=r"cut\.zip is not a readable zip"):
        open_images(tmp_path / "cut.zip")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("photoz", r"photoz does not exist \(did you mean photos,"),
        ("empty", "no images in .*empty: looked for .bmp"),
        ("empty.zip", "no images in"),
        ("empty/notes.txt", "neither an image, a folder, a zip nor a parquet file"),
        ("far/away", "far/away does not exist"),
        ("photos.parquet", "photos.parquet does not exist"),
    ],
)
def test_what_is_no_data_set(tmp_path, name, said):
    unpack(tmp_path, {"photos/1.png": level(1), "empty/notes.txt": b""})
    pack(tmp_path / "empty.zip", {"notes.txt": b"", "folder.png/": b""})
    with pytest.raises(InputError, match=said) as caught:
        open_images(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_only_tables_have_splits(tmp_path):
    with pytest.raises(InputError, match="split='train' has no meaning for"):
        open_images(unpack(tmp_path, FILES), "train")
