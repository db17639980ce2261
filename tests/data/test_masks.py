"""Masks of objects from files of every kind: what they say of each pixel and patch, and what is wrong with them."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tests.support.pictures import CONFIG, encode, photo, unpack
from vitjax.data.annotations.masks import Objects, box_masks, fitted, fitted_labels, masks, painted, patch_labels
from vitjax.data.files.open import open_images
from vitjax.errors import InputError

PHOTO = encode(photo(20, 12))
LABELS = np.zeros((12, 20), np.uint8)
LABELS[2:9, 3:8], LABELS[4:12, 12:18], LABELS[0] = 7, 3, 255


def image_file(ids: np.ndarray) -> bytes:
    return encode(Image.fromarray(ids))


def test_class_maps_beside_the_images(tmp_path):
    unpack(tmp_path, {"a/x.jpg": PHOTO, "a/x_mask.png": image_file(LABELS), "a/y.png": PHOTO})
    images = open_images(tmp_path)
    found = masks(images, tmp_path)
    assert list(found) == ["a/x.jpg"]
    objects = found["a/x.jpg"](12, 20)
    assert objects.kinds == ("3", "7")
    for number, kind in enumerate((3, 7), 1):
        assert np.array_equal(objects.labels == number, kind == LABELS)
    all_but_one = masks(images, tmp_path, ignored=[7])["a/x.jpg"](12, 20)
    assert all_but_one.kinds == ("0", "3", "255") and not all_but_one.labels[3, 4]


def test_class_maps_in_a_folder_of_their_own_and_in_colours_of_a_palette(tmp_path):
    palette = Image.fromarray(LABELS).convert("P")
    palette.putdata(LABELS.ravel().tolist())
    unpack(tmp_path, {"images/x.jpg": PHOTO, "masks/x.png": encode(palette)})
    objects = masks(open_images(tmp_path / "images"), tmp_path / "masks")["x.jpg"](12, 20)
    assert np.array_equal(objects.labels > 0, np.isin(LABELS, (3, 7)))


XML = "<annotation><size><height>12</height><width>20</width></size>{}</annotation>"
OBJECT = "<object><name>{}</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object>"


def voc(folder, kinds):
    ids = np.where(LABELS == 7, 2, np.where(LABELS == 3, 1, LABELS)).astype(np.uint8)
    return unpack(
        folder,
        {
            "JPEGImages/x.jpg": PHOTO,
            "JPEGImages/no.jpg": PHOTO,
            "SegmentationObject/x.png": image_file(ids),
            "Annotations/x.xml": XML.format("".join(map(OBJECT.format, kinds))).encode(),
            "Annotations/no.xml": XML.format("").encode(),
        },
    )


def test_voc_names_objects_in_the_order_of_its_annotation(tmp_path):
    root = voc(tmp_path, ["cat", "dog"])
    found = masks(open_images(root / "JPEGImages"), root)
    objects = found["x.jpg"](12, 20)
    assert list(found) == ["x.jpg"] and objects.kinds == ("cat", "dog")
    assert np.array_equal(objects.labels, np.where(LABELS == 7, 2, LABELS == 3))


def test_voc_whose_annotation_lists_too_few_objects(tmp_path):
    root = voc(tmp_path, ["cat"])
    with pytest.raises(InputError, match="its mask has object 2, its annotation lists 1"):
        masks(open_images(root / "JPEGImages"), root)["x.jpg"](12, 20)


def test_every_box_is_an_object_and_the_smaller_is_in_front(tmp_path):
    lines = "x.jpg\t0\t0\t15\t11\nx.jpg\t2\t3\t5\t6\n"
    images = open_images(unpack(tmp_path, {"x.jpg": PHOTO, "x_boxes.txt": lines.encode()}))
    by_hand = np.zeros((12, 20), int)
    by_hand[:, :16] = 1
    by_hand[3:7, 2:6] = 2
    objects = box_masks(images)["x.jpg"](12, 20)
    assert np.array_equal(objects.labels, by_hand) and objects.kinds == ("", "")
    with pytest.raises(InputError, match=r"x\.jpg: the box 2 3 6 7 holds no pixel"):
        box_masks(images)["x.jpg"](2, 20)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools 2.0.11 on numpy 2
def test_coco(tmp_path):
    coco = pytest.importorskip("pycocotools.mask")
    whole = np.zeros((12, 20), bool)
    whole[2:10, 1:15] = True
    runs = {"size": [12, 20], "counts": coco.encode(np.asfortranarray(whole.astype(np.uint8)))["counts"].decode()}
    record = {
        "images": [{"id": 4, "file_name": "x.jpg", "height": 12, "width": 20}],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
        "annotations": [
            {"image_id": 4, "category_id": 2, "segmentation": [[4, 4, 8, 4, 8, 8, 4, 8]]},
            {"image_id": 4, "category_id": 1, "segmentation": runs},
        ],
    }
    unpack(tmp_path, {"images/x.jpg": PHOTO, "all.json": json.dumps(record).encode()})
    read = masks(open_images(tmp_path / "images"), tmp_path / "all.json")["x.jpg"]
    by_hand = whole * 2
    by_hand[4:8, 4:8] = 1
    assert np.array_equal(read(12, 20).labels, by_hand) and read(12, 20).kinds == ("dog", "cat")
    with pytest.raises(InputError, match=r"x\.jpg is 20x13, its mask 20x12"):
        read(13, 20)


WRONG = {
    "another size": (image_file(LABELS[:, :15]), r"x\.jpg is 20x12, its mask 15x12"),
    "a picture": (PHOTO, "is a picture in colour"),
    "damaged": (b"\x89PNG", "the mask of x.jpg is not readable"),
}


@pytest.mark.parametrize(("data", "said"), WRONG.values(), ids=WRONG)
def test_masks_that_do_not_fit(data, said, tmp_path):
    unpack(tmp_path, {"x.jpg": PHOTO, "x_mask.png": data})
    with pytest.raises(InputError, match=said) as error:
        masks(open_images(tmp_path), tmp_path)["x.jpg"](12, 20)
    assert "\n" not in str(error.value)


def test_nothing_to_be_found(tmp_path):
    unpack(tmp_path, {"images/x.jpg": PHOTO, "masks/other.png": image_file(LABELS)})
    images = open_images(tmp_path / "images")
    for source, said in (("masks", "no mask for any"), ("images", "holds the images themselves"), ("no", "not exist")):
        with pytest.raises(InputError, match=said):
            masks(images, tmp_path / source)


@pytest.mark.parametrize("fit", ["squash", "crop"])
def test_images_and_labels_move_alike(fit):
    labels = np.zeros((48, 80), np.int32)
    labels[:, 30:60], labels[24:, 60:] = 1, 2
    colours = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0]], np.uint8)[labels]
    config = replace(CONFIG, preprocess=replace(CONFIG.preprocess, crop=0.8))
    pixels = fitted(Image.fromarray(colours), config, fit)
    objects = fitted_labels(Objects(labels, ("a", "b")), config, fit)
    assert pixels.shape == (32, 32, 3) and objects.labels.shape == (32, 32)
    seen = np.where(pixels[..., 0] > 127, 1, np.where(pixels[..., 1] > 127, 2, 0))
    assert (seen != objects.labels).mean() < 0.04  # but for the blur at the edges
    assert objects.labels[0, -1] == (fit == "crop")  # which leaves the sides out


@pytest.mark.parametrize(("covered", "shown"), [(399, 0), (400, 1), (401, 1)])
def test_20_a_patch_shows_what_covers_four_tenths_of_it(covered, shown):
    labels = np.zeros((50, 40), np.int32)
    labels[25:].flat[:covered] = 1
    assert patch_labels(labels, (2, 1)).tolist() == [0, shown]


def test_a_patch_that_two_objects_claim_shows_the_larger_part():
    labels = np.ones((10, 10), np.int32)
    labels[:, :5], labels[0, 0] = 3, 0
    assert patch_labels(labels, (1, 1)).tolist() == [1]
    assert patch_labels(np.zeros((4, 4), np.int32), (2, 2)).tolist() == [0] * 4


def test_claims_of_two_objects_add_up_as_published():
    labels = np.full((10, 10), 3, np.int32)
    labels[:, :4], labels[:, 4] = 1, 0
    labels = np.concatenate([labels, np.where(labels == 3, 2, labels), np.full((10, 10), 2)])
    assert patch_labels(labels, (3, 1)).tolist() == [3, 2, 2]
    assert patch_labels(labels, (3, 1), claims="sum").tolist() == [4, 3, 2]
    with pytest.raises(InputError, match=r"unknown claims 'summ' \(did you mean sum\?\): larger or sum"):
        patch_labels(labels, (3, 1), claims="summ")


def test_overlaps_are_painted_by_size():
    small, large = np.zeros((4, 4), bool), np.ones((4, 4), bool)
    small[1, 1] = True
    for layers, label in (([small, large], 1), ([large, small], 2)):
        assert painted(layers, "ab").labels[1, 1] == label
