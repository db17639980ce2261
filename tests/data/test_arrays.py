"""Images in memory as a data set: as good as their files, or one line that says what they are."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support import noise, small
from tests.support.pictures import encode, photo
from vitjax.analysis.photographs.exemplars import exemplars
from vitjax.data.dataset import Dataset, open_dataset
from vitjax.data.files.arrays import in_memory
from vitjax.data.files.images import Images
from vitjax.data.prepare import decode, prepare
from vitjax.errors import InputError

CONFIG = small.CONFIG
PHOTO = photo(50, 40)
BYTES = np.asarray(PHOTO)


def prepared(image) -> np.ndarray:
    """An image alone, as the model gets it from a data set."""
    return prepare(decode(in_memory([image]).read(0)), CONFIG)


@pytest.mark.parametrize(
    ("image", "file"),
    [
        (PHOTO, PHOTO),
        (BYTES, PHOTO),
        (BYTES / 255, PHOTO),
        ((BYTES / 255).astype(np.float32), PHOTO),
        (BYTES[..., 0], PHOTO.getchannel(0)),
        (BYTES[..., :1], PHOTO.getchannel(0)),
        *((PHOTO.convert(mode), PHOTO.convert(mode)) for mode in ("L", "P", "RGBA", "LA", "1")),
        (PHOTO.convert("HSV"), PHOTO.convert("HSV").convert("RGB")),
        (Image.fromarray(BYTES[..., 0] * np.uint16(257)), Image.fromarray(BYTES[..., 0] * np.uint16(257))),
    ],
    ids=["RGB", "bytes", "floats", "float32", "grey", "grey axis", "L", "P", "RGBA", "LA", "1", "HSV", "16 bits"],
)
def test_an_image_is_what_its_file_would_be(image, file):
    np.testing.assert_array_equal(prepared(image), prepare(decode(encode(file)), CONFIG))


def test_several_have_names_and_can_be_sent_to_other_processes():
    images = in_memory([PHOTO, BYTES, photo(9, 99)])
    assert images.names == ("image 0", "image 1", "image 2") and images.source == "3 images in memory"
    assert pickle.loads(pickle.dumps(images.some(2))).read(1) == images.read(1)
    assert in_memory(np.stack([BYTES, BYTES])).names == ("image 0", "image 1")


def test_exemplars_are_those_of_the_files():
    pixels = np.random.default_rng(0).integers(0, 256, (5, 40, 40, 3), np.uint8)
    files = Images("files", tuple(map(str, range(5))), lambda place: encode(Image.fromarray(pixels[place])))
    tap, model = "blocks.0.mlp.hidden", noise.model(CONFIG)
    found = exemplars(model, open_dataset([*pixels[:3], *map(Image.fromarray, pixels[3:])], CONFIG, batch=5), tap, k=2)
    wanted = exemplars(model, Dataset(files, CONFIG, 5), tap, k=2)
    np.testing.assert_array_equal(found.taps[tap].place, wanted.taps[tap].place)
    np.testing.assert_array_equal(found.taps[tap].tally.mean, wanted.taps[tap].tally.mean)
    assert list(found.names) == [f"image {i}" for i in range(5)] and not found.unreadable


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ([BYTES.astype(np.float32)], "image 0: the values go from .* not from 0 to 1, like those of bytes"),
        ([BYTES, BYTES / 127.5 - 1], "image 1: .*as if normalised"),
        ([BYTES * np.nan], "image 0: there is NaN"),
        ([BYTES.astype(int)], "image 0 is int64, it must be uint8, or floats"),
        ([BYTES > 9], "image 0 is bool"),
        ([BYTES.astype(np.uint16)], "image 0 is uint16"),
        ([BYTES.astype(complex)], "image 0 is complex128"),
        ([np.moveaxis(BYTES, -1, 0)], r"image 0 has shape \(3, 40, 50\), .*; write np.moveaxis\(image, 0, -1\)"),
        ([np.dstack([BYTES, BYTES[..., 0]])], r"write image\[..., :3\]"),
        ([BYTES[:0]], r"image 0 has shape \(0, 50, 3\)"),
        ([[BYTES]], "image 0 is of type list"),
        ([None], "image 0 is of type NoneType"),
        (["a.jpg"], "image 0 is of type str, .*name the folder of files"),
        ([Path("a.jpg")], "name the folder of files"),
        (BYTES, r"an array of shape \(40, 50, 3\) is no data set: give a list"),
        (PHOTO, r"one image is no data set: give a list, \[image\]"),
        ([], "no images are given"),
        (np.zeros((0, 4, 4, 3), np.uint8), "no images are given"),
        (None, "None is no data set"),
        (5, "something of type int is no data set"),
        ({"a": BYTES}, "something of type dict is no data set"),
    ],
)
def test_what_is_no_image_is_named(source, words):
    with pytest.raises(InputError, match=words) as error:
        open_dataset(source, CONFIG)
    assert "\n" not in str(error.value)


def test_what_else_a_data_set_is_given_is_checked():
    for make, words in (
        (lambda: open_dataset([PHOTO], CONFIG, split="train"), "has no meaning for images in memory"),
        (lambda: open_dataset([PHOTO], CONFIG, limit=1.5), "limit is 1.5"),
        (lambda: open_dataset([PHOTO], CONFIG, batch=0), "batch is 0"),
        (lambda: open_dataset([PHOTO], None), "config is of type NoneType: give that of a model"),
        (lambda: Dataset([PHOTO], CONFIG), "images are of type list"),
    ):
        with pytest.raises(InputError, match=words):
            make()


def test_an_image_whose_file_is_closed_is_named(tmp_path):
    (tmp_path / "a.png").write_bytes(encode(PHOTO))
    with Image.open(tmp_path / "a.png") as closed:
        pass
    with pytest.raises(InputError, match="image 0 cannot be read"):
        in_memory([closed])
