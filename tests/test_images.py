"""Photographs as models see them: order, resizing as the source library does it, files that are no images."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from vitjax.data.images import batches, names, prepare
from vitjax.errors import InputError
from vitjax.models.config import Preprocess, ViTConfig

CONFIG = ViTConfig(image_size=(64, 64), preprocess=Preprocess(crop=0.9))


def photo(width: int, height: int, seed: int = 0) -> Image.Image:
    """A smooth random picture."""
    noise = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    return Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)


@pytest.mark.parametrize("size", [(100, 100), (200, 133), (97, 151), (64, 64), (50, 300)])
def test_images_are_prepared_as_timm_does(timm, size):
    transform = timm.data.create_transform(
        (3, 64, 64), interpolation="bicubic", mean=(0,) * 3, std=(1,) * 3, crop_pct=0.9
    )
    wanted = transform(photo(*size)).numpy().transpose(1, 2, 0)
    np.testing.assert_allclose(prepare(photo(*size), CONFIG), wanted, atol=1e-6)


def test_a_rectangle_is_filled():
    config = ViTConfig(image_size=(48, 80), preprocess=Preprocess(crop=1.0))
    assert prepare(photo(300, 90), config).shape == prepare(photo(90, 300), config).shape == (48, 80, 3)


def test_folders_and_zips_come_in_the_order_of_their_names(tmp_path):
    (tmp_path / "b").mkdir()
    files = {"b/2.png": photo(70, 80, 2), "a.png": photo(80, 70, 1), "b/10.png": photo(64, 64, 3)}
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for name, image in files.items():
            image.save(tmp_path / name)
            archive.write(tmp_path / name, name)
    (tmp_path / "notes.txt").write_text("not an image")
    assert names(tmp_path) == names(tmp_path / "all.zip") == ["a.png", "b/10.png", "b/2.png"]
    folder, zipped = (list(batches(path, CONFIG, 2)) for path in (tmp_path, tmp_path / "all.zip"))
    assert [some for some, _ in folder] == [["a.png", "b/10.png"], ["b/2.png"]]
    for (_, a), (_, b) in zip(folder, zipped, strict=True):
        assert np.array_equal(a, b) and a.shape[1:] == (64, 64, 3) and 0 <= a.min() <= a.max() <= 1


def test_what_is_no_image_is_named(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        names(tmp_path / "missing")
    with pytest.raises(InputError, match="no images in"):
        names(tmp_path)
    buffer = io.BytesIO()
    photo(64, 64).save(buffer, format="png")
    (tmp_path / "cut.png").write_bytes(buffer.getvalue()[:200])
    with pytest.raises(InputError, match=r"cut\.png is not a readable image"):
        list(batches(tmp_path, CONFIG, 4))
    with pytest.raises(InputError, match="neither a folder nor a zip"):
        names(tmp_path / "cut.png")
