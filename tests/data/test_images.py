"""Data sets as lists of images: the same order and names from folders and zips, whatever else lies there."""

import json
import os
import pickle
import struct
import sys
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from tests.support.pictures import encode, level, levels, pack, photo, unpack
from vitjax.data.annotations.boxes import boxes
from vitjax.data.annotations.labels import labels
from vitjax.data.annotations.masks import masks
from vitjax.data.files import formats
from vitjax.data.files.open import open_images
from vitjax.data.prepare import decode
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
        ("empty", r"no images in .*empty: looked for \.jpg, \.png and \d+ more"),
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


def test_every_ending_that_pillow_decodes_counts(tmp_path):
    kinds = {"jfif": "jpeg", "jpe": "jpeg", "tga": "tga", "pgm": "ppm", "pnm": "ppm", "jp2": "jpeg2000", "avif": "avif"}
    kinds |= {"apng": "png", "qoi": "qoi", "PNG": "png"}
    able = {ending: form for ending, form in kinds.items() if form.upper() in {*Image.SAVE, "PNG"}}
    files = {f"{ending}.{ending}": encode(photo(9, 9), form) for ending, form in able.items()}
    for images in (open_images(unpack(tmp_path / "all", files)), open_images(pack(tmp_path / "all.zip", files))):
        assert set(images.names) == set(files) and not images.left_out and len(files) > 7
        assert all(decode(images.read(place)).size == (9, 9) for place in range(len(files)))
    assert open_images(tmp_path / "all" / "jfif.jfif").names == ("jfif.jfif",)


def test_images_that_are_not_read_are_named(tmp_path):
    files = {
        "a.png": level(1),
        "b.svg": b"<svg/>",
        "c/d.NEF": b"",
        "e.ico": b"",
        "clip.mpg": b"",
        "table.h5": b"",
        "f.pdf": b"",
    }
    left = open_images(unpack(tmp_path / "set", files)).left_out
    assert left == {
        "b.svg": "a kind of image that is not read",
        "c/d.NEF": "a kind of image that is not read",
        "e.ico": "a drawing or an icon, no photograph",
    }
    with pytest.raises(
        InputError, match=r"no images in .*one \(b\.svg: a kind of image that is not read\): looked for"
    ):
        open_images(unpack(tmp_path / "one", {"b.svg": b""}))
    with pytest.raises(InputError, match=r"b\.svg: a kind of image that is not read"):
        open_images(tmp_path / "one" / "b.svg")


def test_heic_takes_its_plugin(tmp_path, monkeypatch):
    """With a plugin that Pillow is told of by its package, here a made-up one; without it the advice."""
    unpack(tmp_path, {"a.heic": encode(photo(9, 9)), "b.jpg": level(2)})
    for made in (formats.kinds, formats.endings, formats.left_out):
        made.cache_clear()
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    assert open_images(tmp_path).left_out == {"a.heic": "its kind takes a plugin: pip install 'vitjax[heif]'"}
    register = lambda: Image.register_extension("PNG", ".heic")
    monkeypatch.setitem(sys.modules, "pillow_heif", SimpleNamespace(register_heif_opener=register))
    for made in (formats.kinds, formats.endings, formats.left_out):
        made.cache_clear()
    try:
        images = open_images(tmp_path)
        assert images.names == ("a.heic", "b.jpg") and not images.left_out and decode(images.read(0)).size == (9, 9)
    finally:
        del Image.EXTENSION[".heic"]
        for made in (formats.kinds, formats.endings, formats.left_out):
            made.cache_clear()


@pytest.mark.parametrize("form", ["folder", "zip"])
def test_masks_beside_images_are_no_photographs(tmp_path, form):
    files = {
        "a.jpg": level(1),
        "a_mask.png": level(2),
        "s/b.png": level(3),
        "s/b_mask.PNG": level(4),
        "s/a_mask.png": level(5),
    }
    path = unpack(tmp_path / "set", files) if form == "folder" else pack(tmp_path / "set.zip", files)
    images = open_images(path)
    assert images.names == ("a.jpg", "s/a_mask.png", "s/b.png")  # no image stands beside s/a_mask.png
    assert images.left_out == dict.fromkeys(("a_mask.png", "s/b_mask.PNG"), "the mask of an image beside it")
    assert images.read(2) == level(3) and open_images(path, masks=True).names == tuple(sorted(files))


def test_a_zip_from_windows_is_the_folder_that_it_was_made_of(tmp_path):
    odd = {
        r"photos\cat\a.png": level(1),
        r".\photos\dog\b.png": level(2),
        "/photos/c.png": level(3),
        "C:\\photos\\d.png": level(4),
    }
    odd |= {r"__MACOSX\._a.png": b"", r"photos\.hidden.png": b"", r"photos\.git\x.png": b"", "photos\\cat\\": b""}
    with zipfile.ZipFile(tmp_path / "win.zip", "w") as archive:
        for name, data in odd.items():
            member = zipfile.ZipInfo("x")
            member.filename = name  # as it stands: ZipInfo's own argument would be mended on Windows
            archive.writestr(member, data)
    images = open_images(tmp_path / "win.zip")
    assert images.names == ("photos/c.png", "photos/cat/a.png", "photos/d.png", "photos/dog/b.png")
    assert [images.read(i) for i in range(4)] == [level(i) for i in (3, 1, 4, 2)]
    assert images.folders == ("photos", "photos/cat", "photos/dog")
    with zipfile.ZipFile(tmp_path / "win.zip", "a") as archive:
        archive.writestr("photos/cat/a.png", level(9))
    with pytest.raises(InputError, match=r"holds photos/cat/a\.png twice"):
        open_images(tmp_path / "win.zip")


def test_only_regular_files_of_a_sane_size_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr("vitjax.data.files.readers.LARGEST", 10_000)
    unpack(tmp_path, {"a.png": level(1)})
    os.mkfifo(tmp_path / "b.png")
    (tmp_path / "c.png").symlink_to("/dev/zero")
    with open(tmp_path / "d.png", "wb") as file:
        file.truncate(10**10)
    images = open_images(tmp_path)
    for place, said in enumerate(("is a pipe", "is a pipe, socket or device", "10,000,000,000 bytes, more than"), 1):
        for read in (images.read, images.peek) if place < 3 else (images.read,):
            with pytest.raises(InputError, match=said):
                read(place)
    for path in (tmp_path / "b.png", tmp_path / "c.png"):
        with pytest.raises(InputError, match="is a pipe, socket or device, not a file"):
            open_images(path)


def test_a_small_member_of_a_zip_that_is_large_inside_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr("vitjax.data.files.readers.LARGEST", 10_000)
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", bytes(10**6))
        archive.writestr("b.png", level(1))
    images = open_images(path)
    with pytest.raises(InputError, match="1,000,000 bytes in the zip, more than the 10,000 that are read"):
        images.read(0)
    assert images.read(1) == level(1)
    stated = struct.pack("<I", 10**6)
    path.write_bytes(path.read_bytes().replace(stated, struct.pack("<I", 999)))
    with pytest.raises(InputError, match="not readable from the zip: Bad CRC-32"):
        open_images(path).read(0)


def test_names_that_are_no_utf_8_can_be_written_everywhere(tmp_path):
    raw = os.fsencode(tmp_path) + b"/caf\xe9"
    os.mkdir(raw)
    for name in (b"\xff.png", b"a.png"):
        with open(raw + b"/" + name, "wb") as file:
            file.write(level(len(name)))
    images = open_images(tmp_path)
    assert images.names == (r"caf\udce9/a.png", r"caf\udce9/\udcff.png") and images.folders == (r"caf\udce9",)
    assert [images.read(i) for i in (0, 1)] == [level(5), level(5)]
    assert json.loads(json.dumps(images.names, ensure_ascii=False).encode()) == list(images.names)


def test_only_tables_have_splits(tmp_path):
    with pytest.raises(InputError, match="split='train' has no meaning for"):
        open_images(unpack(tmp_path, FILES), "train")


def test_an_empty_path_is_not_the_current_folder(tmp_path, monkeypatch):
    """As of a shell's variable that was never set."""
    images = open_images(unpack(tmp_path, FILES))
    monkeypatch.chdir(tmp_path)
    for door in (
        open_images,
        lambda path: boxes(images, path),
        lambda path: masks(images, path),
        lambda path: labels(images, 3, path),
    ):
        with pytest.raises(InputError, match=r"the path of the [\w ]+ is empty; write \. for the current folder"):
            door("")
        with pytest.raises(InputError, match="~nobody-of-this-name/x does not exist: there is no such user"):
            door("~nobody-of-this-name/x")
    assert open_images(".").names == images.names


@pytest.mark.parametrize(("path", "why"), [("a\0b", "null byte"), ("x" * 1000, "File name too long")])
def test_a_path_that_no_system_has(path, why):
    with pytest.raises(InputError, match=f"cannot open .*: .*{why}"):
        open_images(path)


def test_a_path_that_may_not_be_looked_at(tmp_path, monkeypatch):
    def refuse(path, **_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.stat", refuse)
    with pytest.raises(InputError, match=r"cannot open .*photos: Permission denied"):
        open_images(tmp_path / "photos")
