"""The class of every image: from each of the places that can say it, and every way in which that can go wrong."""

import json
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from tests.support import small
from tests.support.pictures import CONFIG, level, unpack
from vitjax.data.annotations.labels import labelled, labels
from vitjax.data.dataset import Dataset, open_dataset
from vitjax.data.files.images import Images
from vitjax.data.files.open import open_images
from vitjax.errors import InputError
from vitjax.models.core.class_names import NAMELESS, ClassNames
from vitjax.models.registry import abstract

MODEL = SimpleNamespace(config=CONFIG)  # of somebody else's making, without names of classes


def named(*names: str, **others) -> Images:
    """A data set of which only the names matter."""
    return Images("photos", names, lambda place: b"", **others)


def in_folders(*folders: str) -> Images:
    """A data set with an image in each of these folders, in this order."""
    return named(*(f"{folder}/{i}.png".lstrip("/") for i, folder in enumerate(folders)), folders=tuple(sorted(folders)))


FLAT = named("cat.jpg", "dog.jpg", "sub/eel.jpg")
LISTS = {  # what it shows: the file, its text
    "csv": ("a.csv", "cat.jpg,2\ndog.jpg,0\neel.jpg,1\n"),
    "csv with a head and blanks": ("a.csv", "\ufeffimage, class\ncat.jpg, 2\n\ndog.jpg, 0\nsub/eel.jpg, 1\n"),
    "tsv with more columns": ("a.tsv", "cat.jpg\t2\ta\ndog.jpg\t0\tb\nsub/eel.jpg\t1\tc\nother.jpg\t3\td\n"),
    "txt": ("val.txt", "cat.jpg 2\ndog.jpg 0\neel.jpg 1\n"),
    "json": ("a.json", json.dumps({"cat.jpg": 2, "dog.jpg": "0", "eel.jpg": 1})),
    "names": ("a.csv", "cat.jpg,n03\ndog.jpg,n01\neel.jpg,n02\nother.jpg,n04\n"),
    "names with a head": ("a.csv", "file,wnid\ncat.jpg,n03\ndog.jpg,n01\neel.jpg,n02\nother.jpg,n04\n"),
    "semicolons": ("a.csv", "image;class\ncat.jpg;2\ndog.jpg;0\neel.jpg;1\n"),
    "tabs in a CSV": ("a.csv", "cat.jpg\t2\ndog.jpg\t0\neel.jpg\t1\n"),
    "fractions": ("a.csv", "cat.jpg,2.0\ndog.jpg,0.0\neel.jpg,1.0\n"),
    "JSON of fractions": ("a.json", json.dumps({"cat.jpg": 2.0, "dog.jpg": 0.0, "eel.jpg": 1.0})),
    "several blanks": ("val.txt", "cat.jpg   2\ndog.jpg   0\neel.jpg   1\n"),
    "the path before the file's name": ("a.csv", "cat.jpg,2\ndog.jpg,0\neel.jpg,3\nsub/eel.jpg,1\n"),
}


@pytest.mark.parametrize("kind", LISTS)
def test_a_list_says_it(tmp_path, kind):
    file, text = LISTS[kind]
    (tmp_path / file).write_text(text, encoding="utf-8")
    found = labels(FLAT, 4, tmp_path / file)
    assert found.tolist() == [2, 0, 1] and found.dtype == np.int32
    assert labels(FLAT.take([2, 0]), 4, tmp_path / file).tolist() == [1, 2]


def test_paths_of_a_list_may_be_written_on_another_machine(tmp_path):
    images = replace(named("cat/1.jpg", "dog/1.jpg", "eel.jpg"), source=str(tmp_path / "val"))
    forms = {
        "backslashes": (r"cat\1.jpg", r"dog\1.jpg", "eel.jpg"),
        "from here": ("./cat/1.jpg", r".\dog\1.jpg", "./eel.jpg"),
        "absolute": (f"{tmp_path}/val/cat/1.jpg", f"{tmp_path}/val/dog/1.jpg", f"{tmp_path}/val/eel.jpg"),
        "another machine's": (r"C:\photos\cat\1.jpg", r"C:\photos\dog\1.jpg", r"\\host\photos\eel.jpg"),
        "of a folder above": ("val/cat/1.jpg", "val/dog/1.jpg", "val/eel.jpg"),
        "of several folders": ("val/cat/1.jpg", "val/dog/1.jpg", "val/eel.jpg", "train/cat/1.jpg", "train/eel.jpg"),
    }
    for number, paths in enumerate(forms.values()):
        text = "".join(f"{path},{kind}\n" for path, kind in zip(paths, (2, 0, 1, 3, 3), strict=False))
        (tmp_path / f"{number}.csv").write_text(text)
        assert labels(images, 4, tmp_path / f"{number}.csv").tolist() == [2, 0, 1], paths


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1.jpg,2\neel.jpg,1\n", r"which image is 1\.jpg: cat/1\.jpg or dog/1\.jpg\?"),
        (
            "a/cat/1.jpg,0\nb/cat/1.jpg,1\ndog/1.jpg,1\neel.jpg,1\n",
            r"which line is meant for cat/1\.jpg: a/cat/1\.jpg or b/",
        ),
        (
            "cat/1.jpg,0\n./cat/1.jpg,1\ndog/1.jpg,1\neel.jpg,1\n",
            r"which line is meant for cat/1\.jpg: cat/1\.jpg or \./cat",
        ),
        ("bat/1.jpg,0\ndog/1.jpg,1\neel.jpg,1\n", r"no class for cat/1\.jpg \(1 of 3 images\) \(did you mean bat/1"),
    ],
)
def test_a_path_that_may_mean_two_is_refused(tmp_path, text, said):
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(InputError, match=said):
        labels(named("cat/1.jpg", "dog/1.jpg", "eel.jpg"), 4, tmp_path / "list.csv")


def test_the_first_source_that_is_there_counts(tmp_path):
    names = [f"{i}_n0000000{i}_{letter}.png" for i, letter in enumerate("abcd")]
    (tmp_path / "list.csv").write_text("".join(f"{name},3\n" for name in names))
    files = {f"{'dcba'[i]}/{name}": level(i) for i, name in enumerate(names)}
    numbered = named(*(name.split("/")[1] for name in files))
    assert labels(numbered, 5).tolist() == [0, 1, 2, 3]
    images = open_images(unpack(tmp_path / "set", files))  # in the order of their folders: d, c, b, a turned round
    assert labels(images, 4).tolist() == [0, 1, 2, 3] and images.names[0] == "a/3_n00000003_d.png"
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
        assert whole.labels_for(MODEL).tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
        part = open_dataset(folder, CONFIG, limit=2)
        assert part.images.names == ("n01/0.png", "n05/0.png") and part.labels_for(MODEL).tolist() == [0, 2]


def test_folders_with_numbers_for_names_are_those_classes():
    names = tuple(f"{i}/a.png" for i in (0, 1, 10, 2))
    with pytest.raises(InputError, match=r"the folders 0, 1, 10, … of photos are not the classes 0-3"):
        labels(named(*names, folders=("0", "1", "10", "2")), 4)
    names = tuple(f"{i}/a.png" for i in sorted(map(str, range(12))))
    found = labels(named(*names, folders=tuple(sorted(map(str, range(12))))), 12)
    assert found.tolist() == [0, 1, 10, 11, 2, 3, 4, 5, 6, 7, 8, 9]


TROUBLES = {  # what is wrong: the images, the list, what is said
    "no source": (FLAT, None, "nothing says the classes of the images in photos: 0 folders for 4 classes of the head"),
    "too few folders": (named("a/1.png", "b/2.png", folders=("a", "b")), None, "2 folders for 4 classes of the head"),
    "numbered photographs": (named("1_holiday.jpg", "2_holiday.jpg"), None, r"0 folders .* such as 1_holiday\.jpg"),
    "a number too high": (named("0_n00000000.png", "4_n00000004.png"), None, r"is of class 4, the head has 4 \(0-3\)"),
    "a number far too high": (named("0_n00000000.png", f"{'9' * 30}_n00000001.png"), None, "is of class 9999"),
    "two numbers of an id": (named("0_n00000000_a.png", "1_n00000000_b.png"), None, "do not agree, e.g. 0_n00000000"),
    "a column without a class": (named("a.png", column=np.array([-1])), None, r"a\.png is of class -1"),
    "an image without a class": (FLAT, ("a.csv", "cat.jpg,1\ndog.jpg,2\neels.jpg,3\n"),
                                 r"a\.csv has no class for sub/eel\.jpg \(1 of 3 images\) \(did you mean eels\.jpg"),
    "an image's class is null": (FLAT, ("a.json", '{"cat.jpg": null}'), r"no class for cat\.jpg \(3 of 3 images\)"),
    "classes by name, too few": (FLAT, ("a.csv", "cat.jpg,a\ndog.jpg,b\neel.jpg,c\n"),
                                 "names 3 classes, the head has 4: name the head's classes"),
    "two classes for one": (FLAT, ("a.csv", "cat.jpg,1\ncat.jpg,2\n"), r"gives cat\.jpg two classes, 1 and 2"),
    "one column": (FLAT, ("a.csv", "cat.jpg,1\ndog.jpg\n"), r"the row 'dog\.jpg' does not hold an image and its class"),
    "numbers from 1": (FLAT, ("a.csv", "cat.jpg,1\ndog.jpg,2\neel.jpg,3\nfox.jpg,4\n"), "classes from 1 to 4"),
    "half numbers, half names": (FLAT, ("a.csv", "cat.jpg,1\ndog.jpg,b\neel.jpg,c\nfox.jpg,d\n"),
                                 "classes by number and by name, 1 and b"),
    "JSON cut": (FLAT, ("a.json", '{"cat'), r"a\.json is not valid JSON: "),
    "JSON, a list": (FLAT, ("a.json", "[1]"), "does not hold what it should: Expected `object`, got `array`"),
    "bytes": (FLAT, ("a.csv", b"\xff\xfe\0"), r"a\.csv is not readable as text: "),
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


ZEBRA = ClassNames(("zebra", "house cat, Felis catus", "apple"), ("n02391049", "n02121808", "n07739125"))
BY_NAME = {  # what it shows: folders with an image each, the class of each by the model's names
    "the model's order, not the alphabet's": {"apple": 2, "house cat": 1, "zebra": 0},
    "some of the classes": {"zebra": 0, "apple": 2},
    "case, blanks and hyphens": {"House-Cat": 1, "ZEBRA": 0, "house_cat": 1},
    "ids": {"n07739125": 2, "n02391049": 0},
    "ids with names": {"n07739125-Apple": 2, "n02121808_puss": 1},
    "any of the names": {"felis catus": 1, "apple": 2},
    "a folder deeper": {"apple/left": 2, "apple/right": 2, "zebra/left": 0, "house cat/2021": 1},
    "below parts of the data set": {"train/apple": 2, "val/apple": 2, "train/zebra": 0, "val/house_cat": 1},
    "below another folder, and deeper": {"photos/val/zebra/a": 0, "photos/train/apple/b": 2},
    "at several depths": {"zebra": 0, "more/apple": 2},
}


@pytest.mark.parametrize("kind", BY_NAME)
def test_folders_are_counted_by_the_names_of_the_models_classes(kind):
    images = in_folders(*BY_NAME[kind])
    found = labelled(images, 3, names=ZEBRA)
    assert found.numbers.tolist() == list(BY_NAME[kind].values()) and not found.guessed
    assert found.said == "folders, by the names of the model's classes"


GUESSED = {  # what it shows: folders with an image each, the class of each of a model without names
    "sorted": {"zebra": 2, "apple": 0, "cat": 1},
    "a folder deeper": {"cat/2021": 1, "cat/2022": 1, "apple/2021": 0, "dog/2021": 2},
    "below parts of the data set": {"train/cat": 1, "train/apple": 0, "val/dog": 2, "test/dog": 2},
    "ids": {"n02391049": 1, "n02121808": 0, "n07739125": 2},
}


@pytest.mark.parametrize("kind", GUESSED)
def test_without_names_folders_are_counted_in_their_order_which_is_said(kind, caplog):
    images = in_folders(*GUESSED[kind])
    data = Dataset(images, CONFIG)
    with caplog.at_level("INFO"):
        assert data.labels_for(SimpleNamespace(config=replace(CONFIG, classes=3))).tolist() == list(
            GUESSED[kind].values()
        )
    [line] = caplog.messages
    assert re.fullmatch(r"classes: folders, in the order of their names, \w+, \w+, \w+", line)
    assert data.describe()["classes"] == line.removeprefix("classes: ")
    assert labelled(images, 3).guessed


IN_DOUBT = {  # what is in doubt: folders, the model's names, what is said
    "capitals": (("Zebra", "apple", "cat"), (), "whether 'Zebra' or 'apple' comes first is not the same everywhere"),
    "numbers in names": (("c1", "c10", "c2"), (), "whether 'c10' or 'c2' comes first"),
    "alike but for capitals": (("Cat", "cat", "dog"), (), "has classes 'Cat' and 'cat': are they the same"),
    "two levels": (("a/x", "a/y", "b/x", "c/z"), (), "which folders of photos are the classes: x, y, z or a, b, c"),
    "parts of the data set": (("train", "val", "extra"), (), "the folder train: is it a part of the data set"),
    "parts of it with others": (("train/a", "val/a", "extra/b"), (), "the folder train: is it a part of the data set"),
    "numbers from 1": (("1", "2", "3"), (), "counts the classes from 1 to 3: the head counts from 0"),
    "numbers and names": (("0", "1", "cat"), (), "classes by number and by name, 0 and cat"),
    "a folder too many": (("zebra", "apple", "cat", "dog"), (), "4 folders for 3 classes of the head"),
    "an image in no folder": (("zebra", "apple", ""), (), "2 folders for 3 classes of the head"),
    "a folder that is no class": (("zebra", "aple"), ZEBRA, r"'aple', which is none of the model's \(did you mean ap"),
    "none that is a class": (("dog", "eel", "fox"), ZEBRA, "nothing says the classes"),
    "ids that nothing names": (("n1", "n2", "zebra"), ZEBRA, "'n1', which is none of the model's"),
    "two classes of a name": (("crane", "cat"), ClassNames(("crane", "cat", "crane")), r"'crane' may mean .*0 .*2 "),
    "classes at two levels": (("zebra/apple", "apple/zebra"), ZEBRA, "which folders of photos are the classes"),
}  # fmt: skip


@pytest.mark.parametrize("kind", IN_DOUBT)
def test_folders_in_doubt_are_refused(kind):
    folders, names, said = IN_DOUBT[kind]
    with pytest.raises(InputError, match=said) as caught:
        labels(in_folders(*folders), 3, names=names or NAMELESS)
    assert "\n" not in str(caught.value)


def test_what_is_said_of_strange_names_can_be_printed():
    assert labelled(in_folders("a\n\x1b[2J", "b\udcff", "c"), 3).said.endswith(r"names, a\n\x1b[2J, b\udcff, c")


def test_classes_that_are_called_by_numbers():
    """MNIST's: a folder's number is then a name; without names it is the class itself."""
    images, names = in_folders("0", "1", "2"), ClassNames(("2", "0", "1"))
    assert labels(images, 3, names=names).tolist() == [1, 2, 0] and labels(images, 3).tolist() == [0, 1, 2]


def test_images_of_imagenet_by_id_in_its_customary_order():
    """A model of its thousand classes that gives names and no ids, as on the hub."""
    wnids = [f"n{number:08}" for number in range(1000)]
    names = ClassNames(tuple(f"kind {number}" for number in range(1000)))
    found = labelled(in_folders(*wnids), 1000, names=names)
    assert found.numbers.tolist() == list(range(1000)) and found.guessed and "WordNet ids" in found.said
    with pytest.raises(InputError, match="nothing says the classes"):
        labels(in_folders(*wnids[:999]), 1000, names=names)


def test_numbers_before_names_want_something_that_bears_them_out():
    alone = named("0_zebra.png", "1_house_cat_7.png", "2-Apple.png")
    assert labels(alone, 3, names=ZEBRA).tolist() == [0, 1, 2]
    for names in (NAMELESS, ClassNames(("apple", "cat", "zebra"))):
        with pytest.raises(InputError, match="nothing says"):
            labels(alone, 3, names=names)
    with pytest.raises(InputError, match=r"do not agree, e\.g\. 1_n02391049"):
        labels(named("1_n02391049_zebra.png"), 3, names=ZEBRA)
    assert labels(named("n07739125_17.JPEG", "val_00001_n02391049.JPEG"), 3, names=ZEBRA).tolist() == [2, 0]


def test_lists_and_annotations_by_the_names_of_the_models_classes(tmp_path):
    (tmp_path / "a.csv").write_text("image;class\ncat.jpg;House_cat\ndog.jpg;apple\neel.jpg;zebra\n")
    assert labels(FLAT, 3, tmp_path / "a.csv", ZEBRA).tolist() == [1, 2, 0]
    (tmp_path / "a.txt").write_text("cat.jpg house cat\ndog.jpg apple\neel.jpg zebra\n")
    assert labels(FLAT, 3, tmp_path / "a.txt", ZEBRA).tolist() == [1, 2, 0]
    annotated = replace(FLAT, texts={"val_annotations.txt": "".join(f"{n}\tn07739125\tbox\n" for n in FLAT.names)})
    assert labels(annotated, 3, names=ZEBRA).tolist() == [2, 2, 2]
    (tmp_path / "a.csv").write_text("cat.jpg,dog\ndog.jpg,apple\neel.jpg,zebra\n")
    with pytest.raises(InputError, match=r"'dog', which is none of the model's .*; 1 of 3 are none"):
        labels(FLAT, 3, tmp_path / "a.csv", ZEBRA)


def test_a_tables_numbers_by_the_names_that_it_gives_them():
    images = named("a", "b", "c", column=np.array([0, 2, 1]), kinds=("apple", "zebra", "house cat"))
    assert labels(images, 3, names=ZEBRA).tolist() == [2, 1, 0] and labels(images, 3).tolist() == [0, 2, 1]
    digits = replace(images, kinds=("0", "1", "2"))
    assert labels(digits, 3, names=ZEBRA).tolist() == [0, 2, 1]
    with pytest.raises(InputError, match="has 3 classes, the head has 1000"):
        labels(images, 1000)
    with pytest.raises(InputError, match="'dog', which is none of the model's"):
        labels(replace(images, kinds=("apple", "zebra", "dog")), 3, names=ZEBRA)


def test_an_analysis_counts_as_its_own_model_does(tmp_path):
    """Whatever the data set was opened with."""
    model, named_model = abstract(small.CONFIG), abstract(small.CONFIG)
    named_model.class_names = ClassNames(tuple("jihgfedcba"))
    folder = unpack(tmp_path, {f"{letter}/1.png": level(i) for i, letter in enumerate("abcdefghij")})
    data = open_dataset(folder, model.config)
    assert data.labels_for(named_model).tolist() == list(range(10))[::-1]
    assert data.labels_for(model).tolist() == list(range(10))
    named = open_dataset(folder, named_model)  # whose names hold for models that do not say theirs
    assert named.labels_for(model).tolist() == named.labels_for(named_model).tolist() == list(range(10))[::-1]
    other = replace(data, class_names=ClassNames(("a", "b")))  # of a model with another head
    assert other.labels_for(model).tolist() == list(range(10))
    with pytest.raises(InputError, match="classes are counted for a model, not for something of type ViTConfig"):
        data.labels_for(model.config)
    assert not hasattr(data, "labels")  # without a model nothing says what they are counted by


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
