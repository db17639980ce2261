"""Boxes of objects: the three kinds of lists pixel by pixel, whose they are, and what is wrong with some."""

import json
import pickle

import numpy as np
import pytest

from tests.support.pictures import level, pack, unpack
from vitjax.data.annotations.boxes import Boxes, boxes, mask
from vitjax.data.files.images import Images
from vitjax.data.files.open import open_images
from vitjax.errors import InputError


def pictures(*names: str) -> Images:
    return Images("pictures", names, lambda place: level(0))


def pascal(*things: tuple[str, tuple], size: tuple[int, int] | None = (8, 6)) -> bytes:
    """An annotation of an image of (width, height); things are (class, (xmin, ymin, xmax, ymax))."""
    sides = "" if size is None else "<size><width>{}</width><height>{}</height></size>".format(*size)
    corner = lambda box: "".join(f"<{k}>{v}</{k}>" for k, v in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True))
    body = "".join(f"<object><name>{kind}</name><bndbox>{corner(box)}</bndbox></object>" for kind, box in things)
    return f"<annotation><filename>%s</filename>{sides}{body}</annotation>".encode()


def coco(*boxes: list, size: tuple[int, int] = (8, 6)) -> bytes:
    image = {"id": 7, "file_name": "a.png", "width": size[0], "height": size[1]}
    return json.dumps({"images": [image], "annotations": [{"image_id": 7, "bbox": box} for box in boxes]}).encode()


def drawn(*rows: str) -> np.ndarray:
    return np.array([[pixel == "#" for pixel in row] for row in rows])


WANTED = drawn(
    "........",
    "..###...",
    "..###...",
    "........",
    "........",
    "......##",
)
SAME = {
    "b_boxes.txt": b"a.png\t2\t1\t4\t2\na.png\t6\t5\t7\t5\n",
    "val_annotations.txt": b"a.png\tn1\t2\t1\t4\t2\na.png\tn1\t6\t5\t7\t5\n",
    "a.xml": pascal(("dog", (2, 1, 4, 2)), ("cat", (6, 5, 7, 5))),
    "all.json": coco([2, 1, 3, 2], [6, 5, 2, 1]),
}


@pytest.mark.parametrize("form", SAME)
def test_every_form_marks_the_same_pixels(form, tmp_path):
    unpack(tmp_path, {form: SAME[form]})
    found = boxes(pictures("a.png", "b.png"), tmp_path / form)
    assert list(found) == ["a.png"]
    assert found["a.png"].corners.tolist() == [[2, 1, 5, 3], [6, 5, 8, 6]]
    assert np.array_equal(mask(pickle.loads(pickle.dumps(found["a.png"])), 6, 8), WANTED)


def test_pixels_touched_by_a_fraction_are_inside(tmp_path):
    unpack(tmp_path, {"all.json": coco([2.9, 1.0, 1.2, 0.1])})
    (found,) = boxes(pictures("a.png"), tmp_path / "all.json").values()
    assert np.argwhere(mask(found, 6, 8)).tolist() == [[1, 2], [1, 3], [1, 4]]


def test_boxes_over_the_edge_are_cut_off_there():
    over = mask(Boxes(np.array([[-3, -2, 2, 1], [6, 4, 99, 5]])), 6, 8)
    assert np.argwhere(over).tolist() == [[0, 0], [0, 1], [4, 6], [4, 7]]


def test_boxes_grow_and_shrink_with_the_image():
    found = Boxes(np.array([[2, 1, 5, 3]]), size=(6, 8))
    assert np.array_equal(mask(found, 12, 16), np.kron(mask(found, 6, 8), np.ones((2, 2), bool)))
    assert np.argwhere(mask(found, 3, 4)).tolist() == [[0, 1], [0, 2], [1, 1], [1, 2]]
    with pytest.raises(InputError, match="8x6 pixels, this one is 6x6"):
        mask(found, 6, 6)


WRONG = {
    "backwards": ("a_boxes.txt", b"a.png\t4\t1\t2\t2\n", r"a\.png: the box 4 1 2 2 is empty or backwards"),
    "empty": ("all.json", coco([3.5, 1, 0, 2]), r"a\.png: the box 3\.5 1 0 2 is empty"),
    "left": ("a_boxes.txt", b"a.png\t-9\t1\t-1\t2\n", r"a\.png: the box -9 1 -1 2 lies outside"),
    "right": ("a.xml", pascal(("dog", (8, 1, 9, 2))), r"a\.png: the box 8 1 9 2 lies outside the image, 8x6"),
    "two": ("a.xml", pascal(("dog", (3, 1, 1, 2)), ("cat", (3, 9, 3, 9))), r"3 1 1 2 .*backwards \(and 1 more"),
}


@pytest.mark.parametrize(("file", "text", "said"), WRONG.values(), ids=WRONG)
def test_a_box_without_a_pixel_is_named(file, text, said, tmp_path):
    unpack(tmp_path, {file: text})
    with pytest.raises(InputError, match=said):
        boxes(pictures("a.png"), tmp_path / file)


def test_a_box_outside_an_image_of_unknown_size_is_named():
    with pytest.raises(InputError, match="the box 8 0 9 1 holds no pixel of the image, 8x6"):
        mask(Boxes(np.array([[0, 0, 1, 1], [8, 0, 9, 1]])), 6, 8)


def test_lists_among_the_images_are_found(tmp_path):
    listed = {f"{kind}/{kind}_boxes.txt": f"{kind}_0.png\t0\t0\t1\t{kind[-1]}\n".encode() for kind in ("n1", "n2")}
    images = {f"{kind}/images/{kind}_{i}.png": level(0) for kind in ("n1", "n2") for i in range(2)}
    unpack(tmp_path / "folder", listed | images)
    pack(tmp_path / "all.zip", listed | images)
    for source in ("folder", "all.zip"):
        found = boxes(open_images(tmp_path / source))
        assert {name: b.corners.tolist() for name, b in found.items()} == {
            "n1/images/n1_0.png": [[0, 0, 2, 2]],
            "n2/images/n2_0.png": [[0, 0, 2, 3]],
        }
    with pytest.raises(InputError, match="nothing says where the objects in pictures are"):
        boxes(pictures("a.png"))


def test_files_of_one_name_are_told_apart_by_their_folders(tmp_path):
    unpack(tmp_path, {"dogs/1.xml": pascal(("dog", (0, 0, 0, 0))), "cats/1.xml": pascal(("cat", (1, 0, 1, 0)))})
    found = boxes(pictures("train/cats/1.jpg", "train/dogs/1.jpg"), tmp_path)
    assert [b.corners[0, 0] for b in found.values()] == [1, 0]
    with pytest.raises(InputError, match=r"which boxes are meant for birds/1\.jpg: cats/1\.xml or dogs/1\.xml"):
        boxes(pictures("birds/1.jpg"), tmp_path)
    unpack(tmp_path / "one", {"1.xml": pascal(("dog", (0, 0, 0, 0)))})
    with pytest.raises(InputError, match=r"which image are the boxes of 1\.xml for: a/1\.jpg or b/1\.jpg"):
        boxes(pictures("a/1.jpg", "b/1.jpg"), tmp_path / "one")


def test_only_objects_of_the_image_s_own_class_count(tmp_path):
    things = ("n02092002", (0, 0, 0, 0)), ("n09999999", (1, 1, 1, 1)), ("Scottish_deerhound", (2, 2, 2, 2))
    pack(tmp_path / "xml.zip", {"Annotation/n02092002/n02092002_3.xml": pascal(*things)})
    corners = lambda **options: [
        int(corner)
        for found in boxes(pictures("train/n02092002/n02092002_3.JPEG"), tmp_path / "xml.zip", **options).values()
        for corner in found.corners[:, 0]
    ]
    assert corners() == [0, 2]
    assert corners(all_objects=True) == [0, 1, 2]


BROKEN = {
    "cells": ("a_boxes.txt", b"a.png\t1\t2\n", r"a_boxes\.txt, line 1: 'a\.png\\t1\\t2' is not"),
    "numbers": ("a_boxes.txt", b"a.png\t1\t1\t2\t2\na.png\tx\t1\t2\t2\n", "line 2"),
    "xml": ("a.xml", b"<annotation>", "not readable as PASCAL's XML"),
    "corner": ("a.xml", b"<annotation><object><bndbox/></object></annotation>", "not readable as PASCAL's XML"),
    "json": ("a.json", b"{", "not readable as COCO's JSON"),
    "keys": ("a.json", b'{"images": []}', "'annotations' is missing"),
    "list": ("a.json", b"[]", "not readable as COCO's JSON"),
    "infinite": ("a.json", coco([0, 0, float("inf"), 1]), "not readable as COCO's JSON"),
    "kind": ("a.csv", b"a.png,1,2,3,4", r"no list of boxes: a folder, a zip, \.json, \.txt, \.xml would be"),
    "stranger": ("a_boxes.txt", b"x.png\t1\t2\t3\t4\n", r"e\.g\. a\.png, it names e\.g\. x\.png"),
    "nothing": ("a_boxes.txt", b"", "no box for any of the images"),
}


@pytest.mark.parametrize(("file", "text", "said"), BROKEN.values(), ids=BROKEN)
def test_what_is_no_list_of_boxes_is_named(file, text, said, tmp_path):
    unpack(tmp_path, {file: text})
    with pytest.raises(InputError, match=said):
        boxes(pictures("a.png"), tmp_path / file)


def test_a_place_without_lists_is_named(tmp_path):
    unpack(tmp_path, {"notes.txt": b"hello"})
    with pytest.raises(InputError, match="no lists of boxes in"):
        boxes(pictures("a.png"), tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        boxes(pictures("a.png"), tmp_path / "missing")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_no_entity_is_ever_declared(encoding, tmp_path):
    text = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "1"><!ENTITY c "&b;&b;">]>'
    unpack(tmp_path, {"a.xml": (text + "<annotation>&c;</annotation>").encode(encoding)})
    with pytest.raises(InputError, match=r"a\.xml is not readable as PASCAL's XML: it declares a document type"):
        boxes(pictures("a.png"), tmp_path / "a.xml")


def test_tiny_imagenet_has_a_box_for_every_image(shared_data):
    images = open_images(shared_data / "tiny-imagenet-200" / "val.zip")
    found = boxes(images)
    assert list(found) == list(images.names)
    area = np.mean([mask(box, 64, 64).mean() for box in found.values()])
    assert area == pytest.approx(0.5211, abs=1e-4)
