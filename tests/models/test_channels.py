"""Models that read one or four channels: their checkpoints, their photographs, their pictures."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import vitjax
from tests.support import small
from vitjax.data.pixels import shown
from vitjax.data.prepare import decode, prepare
from vitjax.errors import InputError
from vitjax.models.core.config import Preprocess
from vitjax.optimize.parametrize import COLORS, PARAMETRIZATIONS, colors_of, parametrization
from vitjax.optimize.recipes import Recipe
from vitjax.weights import parameters
from vitjax.weights.save import export_timm

TIMM = {
    "architecture": "vit_tiny_patch16_224",
    "num_classes": 5,
    "model_args": {"depth": 1, "img_size": 32},
    "pretrained_cfg": {"mean": [0.5], "std": [0.25], "interpolation": "bicubic", "crop_pct": 1.0},
}


def of_timm(timm, folder, channels, **stated):
    """A folder with a small random model of timm that reads so many channels, and the model."""
    from safetensors.torch import save_file

    size = {"img_size": 32, "depth": 1, "num_classes": 5}
    model = timm.create_model("vit_tiny_patch16_224", in_chans=channels, **size).eval()
    save_file(model.state_dict(), folder / "model.safetensors")
    config = {**TIMM, "model_args": TIMM["model_args"] | stated.pop("model_args", {})}
    config["pretrained_cfg"] = TIMM["pretrained_cfg"] | stated
    (folder / "config.json").write_text(json.dumps(config))
    return model


@pytest.mark.parametrize(
    ("channels", "stated"),
    [
        (1, {"model_args": {"in_chans": 1}}),
        (1, {"mean": [0.5] * 3, "std": [0.25] * 3, "input_size": [3, 32, 32]}),  # as timm leaves it
        (4, {"mean": [0.1, 0.2, 0.3, 0.4], "std": [0.5, 0.6, 0.7, 0.8]}),
    ],
)
def test_the_logits_are_timm_s(timm, tmp_path, channels, stated):
    import torch

    theirs = of_timm(timm, tmp_path, channels, **stated)
    model = vitjax.load(tmp_path, cache=False)
    assert model.config.channels == channels and model.taps()["logits"].shape == (5,)
    images = np.random.default_rng(0).random((2, 32, 32, channels), np.float32)
    with torch.no_grad():
        expected = theirs(torch.tensor(np.asarray(model.normalise(images))).permute(0, 3, 1, 2)).numpy()
    np.testing.assert_allclose(small.read(model, images, reads="logits")["logits"], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("channels", "stated", "said"),
    [
        (1, {"model_args": {"in_chans": 3}}, "says in_chans=3, the first convolution reads 1"),
        (
            1,
            {"mean": [0.4, 0.5, 0.6], "std": [0.5] * 3},
            "mean in config.json is .* not one number for each of 1 input",
        ),
        (2, {}, "2 input channels are not supported, only 1, 3, 4"),
    ],
)
def test_what_is_refused(timm, tmp_path, channels, stated, said):
    of_timm(timm, tmp_path, channels, **stated)
    with pytest.raises(InputError, match=said):
        vitjax.load(tmp_path, cache=False)


def config(channels):
    """The config of a small model."""
    prepared = Preprocess(mean=(0.5,) * channels, std=(0.5,) * channels)
    return replace(small.CONFIG, depth=1, registers=0, preprocess=prepared)


def png(image):
    """The bytes of an image file."""
    image.save(data := io.BytesIO(), "png")
    return data.getvalue()


def test_photographs_come_in_as_many_channels():
    colours = np.random.default_rng(0).integers(0, 256, (40, 40, 4), np.uint8)
    coloured = Image.fromarray(colours)
    grey = prepare(decode(png(coloured), 1), config(1))
    assert grey.shape == (*config(1).image_size, 1)
    np.testing.assert_array_equal(grey[..., 0], prepare(coloured.convert("RGB").convert("L"), config(1))[..., 0])
    four = prepare(decode(png(coloured), 4), config(4))
    assert four.shape[-1] == 4 and four[..., 3].std() > 0
    with pytest.raises(InputError, match="the image is RGB, and the model reads RGBA"):
        decode(png(coloured.convert("RGB")), 4)


@pytest.mark.parametrize("channels", [1, 4])
def test_a_picture_has_them_and_is_shown(channels, tmp_path):
    shapes = parameters.shapes(config(channels))
    draw = np.random.default_rng(0).standard_normal
    model = parameters.build(config(channels), {name: draw(shape).astype(np.float32) for name, shape in shapes.items()})
    export_timm(model, tmp_path / "model", dtype="float32")
    model = vitjax.load(tmp_path / "model")
    assert model.config == config(channels)
    pictures = vitjax.visualize(model, "blocks.0.mlp.hidden:0", steps=2, views=2, stages=())
    assert pictures.images.shape == (1, *model.config.image_size, channels)
    sheet = pictures.save(tmp_path / "pictures")
    (file,) = (tmp_path / "pictures").glob("blocks*.png")
    with Image.open(file) as picture, Image.open(sheet) as whole:
        np.testing.assert_array_equal(np.asarray(picture).reshape(pictures.images[0].shape), pictures.images[0])
        assert (whole.mode, picture.mode) == ("RGB", {1: "L", 4: "RGBA"}[channels])


def test_what_is_shown_of_them():
    pixels = np.arange(2 * 2 * 4, dtype=np.uint8).reshape(2, 2, 4)
    np.testing.assert_array_equal(shown(pixels), pixels[..., :3])
    np.testing.assert_array_equal(shown(pixels[..., :1]), pixels[..., [0, 0, 0]])
    np.testing.assert_array_equal(shown(pixels[..., :3]), pixels[..., :3])


@pytest.mark.parametrize("name", sorted(set(PARAMETRIZATIONS) - {"maco"}))  # which keeps the phases alone
@pytest.mark.parametrize("channels", [1, 4])
def test_an_image_is_written_down_and_read_again(name, channels):
    how = parametrization((6, 8), Recipe(parametrization=name), channels)
    image = np.random.default_rng(0).uniform(0.1, 0.9, (6, 8, channels)).astype(np.float32)
    np.testing.assert_allclose(how.image(how.params(image)), image, atol=1e-4)


def test_other_channels_are_as_strong_as_brightness():
    brightness = np.linalg.norm(COLORS[:, 0])
    np.testing.assert_array_equal(colors_of(3), COLORS)
    np.testing.assert_allclose(colors_of(1), [[brightness / np.sqrt(3)]], rtol=1e-2)
    np.testing.assert_array_equal(colors_of(4)[:3, :3], COLORS)
    assert not colors_of(4)[3, :3].any() and not colors_of(4)[:3, 3].any()
