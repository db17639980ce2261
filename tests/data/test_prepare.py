"""Image files as models see them: resized as the source library does it, every kind of file right or refused."""

import io
import struct
import zlib
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from tests.support.pictures import CONFIG, encode, level, photo
from vitjax.data.annotations.masks import fitted
from vitjax.data.dataset import Dataset, open_dataset
from vitjax.data.files.images import Images
from vitjax.data.pipeline import Batches, pixels
from vitjax.data.placement import patch_box, placement
from vitjax.data.prepare import decode, prepare
from vitjax.errors import InputError
from vitjax.models.core.config import ViTConfig
from vitjax.models.core.preprocess import Input, Preprocess

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


def test_only_what_a_model_reads_is_asked_of_it():
    """Of a model of any kind, its config, or the `Input` alone."""
    model = SimpleNamespace(config=SQUARE, class_names=())
    alone = Input(SQUARE.image_size, SQUARE.preprocess, SQUARE.patch_size)
    assert Input.of(model) == Input.of(SQUARE) == Input.of(alone) == alone
    assert (alone.channels, alone.grid, alone.patches) == (SQUARE.channels, SQUARE.grid, SQUARE.patches)
    for one in (model, alone):
        np.testing.assert_array_equal(prepare(photo(90, 70), one), prepare(photo(90, 70), SQUARE))
    assert patch_box((90, 70), alone, 1, 2) == patch_box((90, 70), SQUARE, 1, 2)
    levels = Images("levels", ("a",), lambda place: level(7))
    assert (
        Batches(levels, model, 2).config == Dataset(levels, model).config == open_dataset([photo(9, 9)], model).config
    )
    assert pixels(levels, [0], model).shape == (1, 64, 64, 3)


@pytest.mark.parametrize("wrong", [None, ViTConfig, {"image_size": (64, 64)}, "demo", SQUARE.preprocess])
def test_what_is_no_model_is_named(wrong):
    for door in (prepare, fitted):
        with pytest.raises(InputError, match=r"config is of type .*: give that of a model, model.config"):
            door(photo(9, 9), wrong)


@pytest.mark.parametrize("wrong", [np.zeros((9, 9, 3), np.uint8), "a.png", None])
def test_what_is_no_image_is_named(wrong):
    with pytest.raises(InputError, match=r"image is of type .*: give Pillow's"):
        prepare(wrong, SQUARE)


def test_unknown_interpolation():
    with pytest.raises(InputError, match=r"unknown interpolation 'bicubik' \(did you mean bicubic"):
        prepare(photo(9, 9), ViTConfig(preprocess=Preprocess(interpolation="bicubik")))


def deep_png(pixels: np.ndarray) -> bytes:
    """A PNG of 16 bits in colour, which Pillow does not write: pixels uint16 [h, w, 3]."""
    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    parts = {
        b"IHDR": struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0),
        b"IDAT": zlib.compress(rows),
        b"IEND": b"",
    }
    chunk = lambda name, data: struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(name, data) for name, data in parts.items())


def grey_tiff(ramp: np.ndarray, bits: int, white_is_zero: bool = False) -> bytes:
    """A TIFF of 12 bits a pixel, two in three bytes, or of 16."""
    values = ramp.astype(np.uint16) * (16 if bits == 12 else 257)
    if bits == 12:
        first, second = values.ravel()[::2], values.ravel()[1::2]
        triples = first >> 4, (first & 15) << 4 | second >> 8, second & 255
        data = np.stack(triples, axis=1).astype(np.uint8).tobytes()
    else:
        data = (65535 - values if white_is_zero else values).astype("<u2").tobytes()
    tags = {256: 16, 257: 8, 258: bits, 259: 1, 262: int(not white_is_zero), 273: 8, 277: 1, 278: 8, 279: len(data)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    head = b"II*\0" + struct.pack("<I", 8 + len(data))
    return head + data + struct.pack("<H", len(tags)) + entries + bytes(4)


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
    "32 bits, of which 8 are used": (encode(Image.fromarray(RAMP.astype(np.int32)), "tiff"), GREY),
    "32 bits of 0 and 1": (encode(Image.fromarray((RAMP > 99).astype(np.int32)), "tiff"), 255 * (GREY > 99)),
    "floats that are whole": (encode(Image.fromarray(RAMP.astype(np.float32)), "tiff"), GREY),
    "floats that are whole, of 16 bits": (encode(Image.fromarray(RAMP.astype(np.float32) * 257), "tiff"), GREY),
    "16 bits, black": (encode(Image.fromarray(0 * RAMP.astype(np.uint16))), 0 * GREY),
    "16 bits in colour": (deep_png(COLOUR.astype(np.uint16) * 257), COLOUR),
    "PGM of 10 bits": (b"P5 16 8 1023\n" + (RAMP * 4.0).astype(">u2").tobytes(), np.rint(GREY * (4 * 255 / 1023))),
    "PFM": (encode(Image.fromarray(RAMP.astype(np.float32) / 255), "ppm"), GREY),
    "TIFF of 12 bits": (grey_tiff(RAMP, bits=12), np.rint(GREY * (16 * 255 / 4095))),
    "TIFF of 16 bits, white is zero": (grey_tiff(RAMP, bits=16, white_is_zero=True), GREY),
    "CMYK": (encode(Image.new("CMYK", (16, 8), (0, 255, 255, 0)), "tiff"), (255, 0, 0)),
    "CMYK, JPEG": (encode(Image.new("CMYK", (16, 8), (0, 0, 0, 255)), "jpeg"), (0, 0, 0)),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_becomes_rgb(kind):
    data, wanted = KINDS[kind]
    found = decode(data)
    assert found.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(found), np.broadcast_to(wanted, np.asarray(found).shape))


TIFF = lambda values: encode(Image.fromarray(np.asarray(values)), "tiff")
UNCLEAR = {  # what it shows: the file, what is said
    "NaN": (TIFF(np.float32([[np.nan, 1]])), "grey values from nan to nan"),
    "infinity": (TIFF(np.float32([[0, np.inf]])), "grey values from 0 to inf"),
    "below 0": (TIFF(np.float32([[-3, 1]])), r"grey values from -3 to 1: scale it to 0…1, or to whole"),
    "floats to 255 that are not whole": (TIFF(np.float32([[0.5, 255]])), "from 0.5 to 255, not whole: scale it"),
    "floats a little above 1": (TIFF(np.float32([[0, 1.02]])), "from 0 to 1.02, not whole"),
    "whole numbers beyond 16 bits": (TIFF(np.int32([[0, 65536]])), "grey values from 0 to 65536: scale"),
    "12 bits in 32": (TIFF(np.int32([[0, 3900]])), "whole numbers up to 3900: a dark image of 16"),
    "8 bits in a PNG of 16": (encode(Image.fromarray(RAMP.astype(np.uint16))), "that hold values up to 255 alone"),
    "12 bits in a PNG of 16": (encode(Image.fromarray(RAMP.astype(np.uint16) * 16)), "that hold values up to 4080"),
    "14 bits in a TIFF of 16": (TIFF(RAMP.astype(">u2") * 64), "16 bits that hold values up to 16320 alone"),
    "12 bits in a PNG of 16 in colour": (deep_png(COLOUR.astype(np.uint16) * 16), "16 bits that hold values up to"),
}  # fmt: skip


@pytest.mark.parametrize("kind", UNCLEAR)
def test_an_image_whose_white_nothing_says_is_refused(kind):
    data, said = UNCLEAR[kind]
    with pytest.raises(InputError, match=said) as caught:
        decode(data)
    assert "\n" not in str(caught.value)


def test_a_drawing_under_a_photograph_s_name_is_not_run():
    """Pillow would start Ghostscript for it."""
    with pytest.raises(InputError, match="not an image of a kind"):
        decode(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n%%EOF\n")


def test_too_many_pixels_are_refused_by_the_head_alone(monkeypatch):
    monkeypatch.setattr("vitjax.data.prepare.LARGEST", 1000)
    for form in ("png", "bmp", "jpeg"):
        data = encode(Image.new("RGB", (60, 60)), form)
        with pytest.raises(InputError, match="60x60 are more pixels than the 1,000 that are read"):
            decode(data[: len(data) - 20])  # what follows would be an error, too


def test_deep_images_are_converted_strip_by_strip(monkeypatch):
    deep = np.arange(64 * 48, dtype=np.uint16).reshape(64, 48) * 21
    whole = np.asarray(decode(encode(Image.fromarray(deep))))
    monkeypatch.setattr("vitjax.data.depth._STRIP", 100)
    assert np.array_equal(np.asarray(decode(encode(Image.fromarray(deep)))), whole)
    assert np.array_equal(whole[..., 0], np.rint(deep / 257).astype(np.uint8))


@pytest.mark.parametrize("size", [(1_000_000, 1), (1, 1_000_000), (3, 300_000)])
def test_patches_of_a_long_thin_photograph_are_found(size):
    for number in (np.int8, np.int16, int):
        left, top, right, bottom = patch_box(size, CONFIG, number(1), np.array([2, 3], number))
        assert (left < right).all() and top < bottom
        longer, shorter = max(size), min(size)
        ends = (left, right) if size[0] == longer else (top, bottom)
        assert abs(np.asarray(ends) - longer / 2).max() < shorter  # the centre is what the model sees


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
