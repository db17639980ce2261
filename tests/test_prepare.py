"""Image files as models see them: resized as the source library does it, every kind of file right or refused."""

import io

import numpy as np
import pytest
from PIL import Image

from tests.pictures import CONFIG, encode, photo
from vitjax.data.placement import patch_box, placement
from vitjax.data.prepare import decode, prepare
from vitjax.errors import InputError
from vitjax.models.config import Preprocess, ViTConfig

SQUARE = ViTConfig(image_size=(64, 64), preprocess=Preprocess(crop=0.9))
WIDE = ViTConfig(image_size=(48, 80), preprocess=Preprocess(crop=0.85, interpolation="bilinear"))
RAMP = np.linspace(0, 255, 16 * 8).astype(np.uint8).reshape(8, 16)


@pytest.mark.parametrize("size", [(100, 100), (200, 133), (97, 151), (64, 64), (50, 300), (1, 40), (333, 2)])
@pytest.mark.parametrize("config", [SQUARE, WIDE], ids=["square", "wide"])
def test_images_are_prepared_as_timm_does(timm, config, size):
    preprocess = config.preprocess
    transform = timm.data.create_transform(
        (3, *config.image_size),
        interpolation=preprocess.interpolation,
        mean=(0,) * 3,
        std=(1,) * 3,
        crop_pct=preprocess.crop,
    )
    wanted = transform(photo(*size)).numpy().transpose(1, 2, 0)
    np.testing.assert_allclose(prepare(photo(*size), config) / 255, wanted, atol=1e-6)


@pytest.mark.parametrize("size", [(300, 90), (90, 300), (1, 1), (1, 2000), (2000, 1)])
@pytest.mark.parametrize("config", [SQUARE, WIDE, CONFIG], ids=["square", "wide", "whole"])
def test_the_model_s_size_is_filled(config, size):
    plain = prepare(Image.new("RGB", size, (10, 200, 30)), config)
    assert plain.shape == (*config.image_size, 3) and plain.dtype == np.uint8
    assert (plain == (10, 200, 30)).all()


def test_of_a_huge_one_only_the_centre_is_computed(monkeypatch):
    for size in [(40, 700), (700, 40), (300, 200)]:
        whole = prepare(photo(*size), SQUARE).astype(int)
        with monkeypatch.context() as patch:
            patch.setattr("vitjax.data.prepare._LARGEST", 0)
            assert abs(prepare(photo(*size), SQUARE) - whole).max() <= 2  # Pillow rounds between its two passes
    assert prepare(photo(2, 200_000), SQUARE).shape == (64, 64, 3)  # 71 by 7 million pixels, resized as a whole


def test_a_patch_is_found_again_in_the_original():
    assert placement((100, 200), CONFIG) == (16, 0, 64, 32, 32, 32)
    assert patch_box((100, 200), CONFIG, 0, 3) == (75, 50, 100, 75)


def test_unknown_interpolation():
    with pytest.raises(InputError, match=r"unknown interpolation 'bicubik' \(did you mean bicubic"):
        prepare(photo(9, 9), ViTConfig(preprocess=Preprocess(interpolation="bicubik")))


GREY = np.repeat(RAMP[..., None], 3, axis=2)
COLOUR = np.asarray(photo(16, 8))
PALETTE = photo(16, 8).quantize(16)
KINDS = {  # what it shows: the file, the pixels it must give
    "RGB": (encode(photo(16, 8)), COLOUR),
    "transparency is dropped": (encode(Image.fromarray(np.dstack([COLOUR, RAMP]))), COLOUR),
    "grey": (encode(Image.fromarray(RAMP)), GREY),
    "grey with transparency": (encode(Image.fromarray(np.dstack([RAMP, RAMP[::-1]]), "LA")), GREY),
    "black and white": (encode(Image.fromarray(RAMP > 99)), 255 * (GREY > 99)),
    "palette": (encode(PALETTE), np.asarray(PALETTE.convert("RGB"))),
    "transparent palette": (encode(PALETTE, transparency=bytes(range(16))), np.asarray(PALETTE.convert("RGB"))),
    "animation": (encode(PALETTE, "gif", save_all=True, append_images=[photo(16, 8, 1)]), PALETTE.convert("RGB")),
    "16 bits": (encode(Image.fromarray(RAMP.astype(np.uint16) * 257)), GREY),
    "16 bits, TIFF": (encode(Image.fromarray(RAMP.astype(">u2") * 257), "tiff"), GREY),
    "32 bits": (encode(Image.fromarray(RAMP.astype(np.int32) * 257), "tiff"), GREY),
    "floats": (encode(Image.fromarray(RAMP.astype(np.float32) / 255), "tiff"), GREY),
    "floats beyond": (encode(Image.fromarray(np.float32([[np.nan, -3, np.inf]])), "tiff"), [[[0], [0], [255]]]),
    "CMYK": (encode(Image.new("CMYK", (16, 8), (0, 255, 255, 0)), "tiff"), (255, 0, 0)),
    "CMYK, JPEG": (encode(Image.new("CMYK", (16, 8), (0, 0, 0, 255)), "jpeg"), (0, 0, 0)),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_becomes_rgb(kind):
    data, wanted = KINDS[kind]
    found = decode(data)
    assert found.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(found), np.broadcast_to(wanted, np.asarray(found).shape))


def test_exif_does_not_turn_an_image():
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by a quarter
    assert decode(encode(photo(16, 8), "jpeg", exif=exif)).size == (16, 8)


PNG, JPEG = encode(photo(64, 64)), encode(photo(64, 64), "jpeg")
DAMAGED = {  # what is wrong: the file, what is said
    "empty": (b"", "an empty file"),
    "no image": (b"<html>404</html>", "not an image of a kind that Pillow knows"),
    "PNG cut in its header": (PNG[:20], "Truncated"),
    "PNG cut": (PNG[:-300], "truncated"),
    "JPEG cut": (JPEG[: len(JPEG) // 2], "truncated"),
    "PNG with a wrong checksum": (PNG[:30] + b"\0" + PNG[31:], "not an image of a kind"),
    "GIF cut": (encode(PALETTE, "gif")[:40], "not an image of a kind"),
    "TIFF of garbage": (b"II*\0\x08\0\0\0" + b"\xff" * 40, None),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_damaged_files_are_refused_in_one_line(kind):
    data, said = DAMAGED[kind]
    with pytest.raises(InputError, match=said) as caught:
        decode(data)
    assert str(caught.value) and "\n" not in str(caught.value) and "0x" not in str(caught.value)


def test_any_cut_gives_an_image_or_a_reason():
    for form in ("png", "jpeg", "gif", "webp", "bmp", "tiff", "ppm"):
        data = encode(photo(20, 20).quantize(9) if form == "gif" else photo(20, 20), form)
        for end in range(0, len(data), max(1, len(data) // 40)):
            try:
                decode(data[:end])
            except InputError as error:
                assert str(error) and "\n" not in str(error)


def test_a_decompression_bomb_is_refused(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    buffer = io.BytesIO(encode(Image.new("1", (60, 60))))
    with pytest.raises(InputError, match="more pixels than Pillow's limit"):
        decode(buffer.getvalue())
