"""The class of every image: from each of the places that can say it, and every way in which that can go wrong."""

import json
from dataclasses import replace

import numpy as np
import pytest

from tests.pictures import CONFIG, level, unpack
from vitjax.data.dataset import open_dataset
from vitjax.data.images import Images, open_images
from vitjax.data.labels import labels
from vitjax.errors import InputError


def named(*names: str, **others) -> Images:
    """A data set of which only the names matter."""
    return Images("photos", names, lambda place: b"", **others)


FLAT = named("cat.jpg", "dog.jpg", "sub/eel.jpg")
LISTS = {  # what it shows: the file, its text
    "csv": ("a.csv", "cat.jpg,2\ndog.jpg,0\neel.jpg,1\n"),
    "csv with a head and blanks": ("a.csv", "\ufeffimage, class\ncat.jpg, 2\n\ndog.jpg, 0\nsub/eel.jpg, 1\n"),
    "tsv with more columns": ("a.tsv", "cat.jpg\t2\ta\ndog.jpg\t0\tb\nsub/eel.jpg\t1\tc\nother.jpg\t3\td\n"),
    "txt": ("val.txt", "cat.jpg 2\ndog.jpg 0\neel.jpg 1\n"),
    "json": ("a.json", json.dumps({"cat.jpg": 2, "dog.jpg": "0", "eel.jpg": 1})),
    "names": ("a.csv", "cat.jpg,n03\ndog.jpg,n01\neel.jpg,n02\nother.jpg,n04\n"),
    "names with a head": ("a.csv", "file,wnid\ncat.jpg,n03\ndog.jpg,n01\neel.jpg,n02\nother.jpg,n04\n"),
    "the path before the file's name": ("a.csv", "cat.jpg,2\ndog.jpg,0\neel.jpg,3\nsub/eel.jpg,1\n"),
}


@pytest.mark.parametrize("kind", LISTS)
def test_a_list_says_it(tmp_path, kind):
    file, text = LISTS[kind]
    (tmp_path / file).write_text(text, encoding="utf-8")
    found = labels(FLAT, 4, tmp_path / file)
    assert found.tolist() == [2, 0, 1] and found.dtype == np.int32
    assert labels(FLAT.take([2, 0]), 4, tmp_path / file).tolist() == [1, 2]


def test_the_first_source_that_is_there_counts(tmp_path):
    (tmp_path / "list.csv").write_text("".join(f"{i}_{letter}.png,3\n" for i, letter in enumerate("abcd")))
    files = {f"{'dcba'[i]}/{i}_{letter}.png": level(i) for i, letter in enumerate("abcd")}
    numbered = named(*(name.split("/")[1] for name in files))
    assert labels(numbered, 5).tolist() == [0, 1, 2, 3]
    images = open_images(unpack(tmp_path / "set", files))  # in the order of their folders: d, c, b, a turned round
    assert labels(images, 4).tolist() == [0, 1, 2, 3] and images.names[0] == "a/3_d.png"
    annotated = replace(images, texts={"val_annotations.txt": "".join(f"{n}\t{n[2]}\tbox\n" for n in images.names)})
    assert labels(annotated, 4).tolist() == [3, 2, 1, 0]
    column = replace(annotated, column=np.array([1, 1, 2, 2]))
    assert labels(column, 4).tolist() == [1, 1, 2, 2]
    assert labels(column, 4, tmp_path / "list.csv").tolist() == [3, 3, 3, 3]


def test_a_part_of_the_images_keeps_its_classes(tmp_path):
    """Classes by name are counted over the whole data set, not over those that a limit leaves."""
    kinds = ["n01", "n05", "n03", "n09"]
    files = {f"{kind}/{i}.png": level(i) for kind in kinds for i in range(3)}
    for split, extra in {"folders": {}, "list": {"val_annotations.txt": None}}.items():
        folder = unpack(tmp_path / split, files)
        if extra:
            (folder / "val_annotations.txt").write_text("".join(f"{name}\t{name[:3]}\t0\n" for name in files))
        whole = open_dataset(folder, CONFIG)
        assert whole.labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
        part = open_dataset(folder, CONFIG, limit=2)
        assert part.images.names == ("n01/0.png", "n05/0.png") and part.labels.tolist() == [0, 2]


def test_folders_with_numbers_for_names_are_those_classes():
    names = tuple(f"{i}/a.png" for i in (0, 1, 10, 2))
    with pytest.raises(InputError, match=r"10/a\.png is of class 10, the head has 4"):
        labels(named(*names, folders=("0", "1", "10", "2")), 4)
    names = tuple(f"{i}/a.png" for i in sorted(map(str, range(12))))
    found = labels(named(*names, folders=tuple(sorted(map(str, range(12))))), 12)
    assert found.tolist() == [0, 1, 10, 11, 2, 3, 4, 5, 6, 7, 8, 9]


TROUBLES = {  # what is wrong: the images, the list, what is said
    "no source": (FLAT, None, "nothing says the classes of the images in photos: 0 folders for 4 classes of the head"),
    "too few folders": (named("a/1.png", "b/2.png", folders=("a", "b")), None, "2 folders for 4 classes of the head"),
    "a number too high": (named("0_a.png", "4_b.png"), None, r"4_b\.png is of class 4, the head has 4 \(0-3\)"),
    "a number far too high": (named("0_a.png", f"{'9' * 30}_b.png"), None, "is of class 9999"),
    "a column without a class": (named("a.png", column=np.array([-1])), None, r"a\.png is of class -1"),
    "an image without a class": (FLAT, ("a.csv", "cat.jpg,1\ndog.jpg,2\neels.jpg,3\n"),
                                 r"a\.csv has no class for sub/eel\.jpg \(1 of 3 images\) \(did you mean eels\.jpg"),
    "an image's class is null": (FLAT, ("a.json", '{"cat.jpg": null}'), r"no class for cat\.jpg \(3 of 3 images\)"),
    "classes by name, too few": (FLAT, ("a.csv", "cat.jpg,a\ndog.jpg,b\neel.jpg,c\n"),
                                 "names 3 classes, the head has 4: give their numbers with --labels"),
    "two classes for one": (FLAT, ("a.csv", "cat.jpg,1\ncat.jpg,2\n"), r"gives cat\.jpg two classes, 1 and 2"),
    "one column": (FLAT, ("a.csv", "cat.jpg,1\ndog.jpg\n"), r"the row 'dog\.jpg' does not hold an image and its class"),
    "JSON cut": (FLAT, ("a.json", '{"cat'), r"a\.json is not readable as JSON: "),
    "JSON, a list": (FLAT, ("a.json", "[1]"), "must hold an object, image name: class"),
    "bytes": (FLAT, ("a.csv", b"\xff\xfe\0"), r"a\.csv is not readable as CSV: "),
    "another kind of file": (FLAT, ("a.xlsx", ""), r"a\.xlsx is no list of classes: \.csv, \.tsv, \.txt or \.json"),
    "no such file": (FLAT, ("", ""), r"cannot read .*b\.csv: No such file"),
}  # fmt: skip


@pytest.mark.parametrize("kind", TROUBLES)
def test_what_is_wrong_is_said_in_one_line(tmp_path, kind):
    images, listed, said = TROUBLES[kind]
    if listed:
        file, text = listed
        unpack(tmp_path, {file or "x": text if isinstance(text, bytes) else text.encode()})
        listed = tmp_path / (file or "b.csv")
    with pytest.raises(InputError, match=said) as caught:
        labels(images, 4, listed)
    assert "\n" not in str(caught.value)


def test_a_model_without_a_head():
    with pytest.raises(InputError, match="this model has no head"):
        labels(named("0_a.png"), 0)


def test_photographs_by_class_number(shared_data):
    found = labels(open_images(shared_data / "imagenet-samples" / "images.zip"), 1000)
    assert found.tolist() == list(range(0, 1000, 2))


def test_tiny_imagenet_by_its_annotations(shared_data):
    data = open_images(shared_data / "tiny-imagenet-200" / "val.zip")
    lines = (shared_data / "tiny-imagenet-200" / "classes.tsv").read_text().splitlines()
    wnids = [line.split("\t")[0] for line in lines]
    found = labels(data, 200)
    assert wnids == sorted(wnids) and (np.bincount(found) == 50).all()
    texts = dict(line.split("\t")[:2] for line in data.texts["val_annotations.txt"].splitlines())
    assert [wnids[i] for i in found[:50]] == [texts[name] for name in data.names[:50]]
    assert np.array_equal(labels(data.some(37), 200), found[np.arange(37) * 10_000 // 37])
