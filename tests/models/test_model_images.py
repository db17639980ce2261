"""What a model makes of images of every type, range and shape: the right activations, or one line with the mistake."""

import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import vitjax
from tests.support import small
from vitjax.data.prepare import decode, prepare
from vitjax.errors import InputError
from vitjax.models.convnets.resnet import ResNetConfig
from vitjax.models.registry import abstract

BYTES = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
IMAGES = (BYTES / 255).astype(np.float32)
WANTED = np.asarray(small.model()(IMAGES, "embed")["embed"])


def embedded(images):
    """The tokens of images, which needs no block to be compiled."""
    return small.model()(images, "embed")["embed"]


@pytest.mark.parametrize(
    "images",
    [IMAGES, IMAGES.astype(np.float64), jnp.asarray(IMAGES), IMAGES * 1.01, IMAGES - 0.01],
    ids=["float32", "float64", "jax", "a little above", "a little below"],
)
def test_floats_in_their_range_are_taken(images):
    np.testing.assert_allclose(embedded(images), WANTED, atol=0.1)


def test_floats_of_less_or_more_precision_are_the_same_images():
    np.testing.assert_allclose(embedded(BYTES / 255.0), WANTED, atol=1e-6)
    np.testing.assert_allclose(embedded(IMAGES.astype(np.float16)), WANTED, atol=5e-3)


class Tensor:
    """An array of another library, which may refuse to be read by numpy, as torch's that need a gradient do."""

    def __init__(self, values, said: str = ""):
        self.values, self.said = values, said

    def __array__(self, dtype=None, copy=None):
        if self.said:
            raise RuntimeError(self.said)
        return self.values


def test_arrays_of_other_libraries_are_read_by_numpy():
    np.testing.assert_array_equal(embedded(Tensor(IMAGES)), WANTED)
    for tensor, words in (
        (Tensor(BYTES), "divide by 255"),
        (Tensor(np.moveaxis(IMAGES, -1, 1)), "channels stand first"),
        (Tensor(IMAGES, "Use tensor.detach().numpy() instead.\nTraceback"), r"cannot be read by numpy: .* instead\.$"),
    ):
        with pytest.raises(InputError, match=words):
            embedded(tensor)


MISTAKES = {
    "uint8": (BYTES, r"images are uint8, .* values in \[0, 1\]: divide by 255"),
    "int32": (BYTES.astype(np.int32), "images are int32, .*divide by 255"),
    "uint16": (BYTES.astype(np.uint16), "images are uint16, .*divide by 65535"),
    "bool": (BYTES > 99, "images are bool, .*turn them into floats"),
    "complex": (IMAGES.astype(np.complex64), "images are complex64"),
    "objects": (np.full((2, 32, 32, 3), None), "images are object"),
    "0 to 255": (BYTES.astype(np.float32), "from 0 to 255, not from 0 to 1, like those of bytes: divide by 255"),
    "0 to 65535": (BYTES * 257.0, "like those of 16 bits: divide by 65535"),
    "-1 to 1": (IMAGES * 2 - 1, r"as if normalised to -1 to 1: give \(images \+ 1\) / 2"),
    "normalised": (jnp.asarray((IMAGES - 0.45) / 0.22), r"as if normalised: give images \* std \+ mean"),
    "wild": (IMAGES * 1e9, r"from 0 to 1e\+09, not from 0 to 1$"),
    "NaN": (np.where(IMAGES > 0.5, np.nan, IMAGES), "NaN among the values"),
    "infinite": (np.where(IMAGES > 0.5, np.inf, IMAGES), "to inf, not from 0 to 1"),
    "one": (IMAGES[0], r"a batch axis is missing; write images\[None\]"),
    "channels first": (np.moveaxis(IMAGES, -1, 1), r"channels stand first; write np.moveaxis\(images, -3, -1\)"),
    "one, channels first": (np.moveaxis(IMAGES[0], -1, 0), "channels stand first"),
    "RGBA": (np.concatenate([IMAGES, IMAGES[..., :1]], axis=-1), r"alpha channel; write images\[..., :3\]"),
    "grey": (IMAGES[..., :1], r"they are grey; write np.repeat\(images, 3, axis=-1\)"),
    "grey without an axis": (IMAGES[..., 0], r"write np.repeat\(images\[..., None\], 3, axis=-1\)"),
    "another size": (IMAGES[:, :24], "load it with another image_size"),
    "empty": (IMAGES[:0], "there is no image in them"),
    "empty list": ([], "an empty list"),
    "list": ([IMAGES[0]], r"one array: write np.stack\(images\)"),
    "Pillow": (
        Image.fromarray(BYTES[0]),
        r"Pillow's, .*: prepare each by vitjax\.data",
    ),
    "list of Pillow": ([Image.fromarray(BYTES[0])], "Pillow's, a model takes arrays"),
    "None": (None, "images are None"),
    "path": ("photo.jpg", "images are of type str"),
}


@pytest.mark.parametrize(("images", "words"), MISTAKES.values(), ids=MISTAKES)
def test_other_images_are_refused_by_name(images, words):
    with pytest.raises(InputError, match=words) as error:
        small.model()(images)
    assert "\n" not in str(error.value)


def test_what_the_shown_remedies_give_is_right():
    first, grey = np.moveaxis(IMAGES, -1, 1), IMAGES[..., :1]
    np.testing.assert_array_equal(embedded(np.moveaxis(first, -3, -1)), WANTED)
    assert embedded(np.repeat(grey, 3, axis=-1)).shape == WANTED.shape
    np.testing.assert_array_equal(embedded(IMAGES[0][None]), WANTED[:1])


def test_types_are_refused_while_tracing_and_values_are_not_asked_for():
    model = small.model()
    traced = lambda images: model(images, "embed")["embed"].sum()
    for transform in (jax.jit, jax.vmap, lambda f: jax.jit(jax.vmap(f))):
        call = traced if transform is jax.jit else lambda image: traced(image[None])
        for images in (BYTES, BYTES.astype(np.int32), BYTES > 99):
            with pytest.raises(InputError, match="floats with values in"):
                jax.eval_shape(transform(call), images)
    with pytest.raises(InputError, match="images are uint8"):
        model.normalise(BYTES)
    assert np.isfinite(jax.grad(traced)(jnp.asarray(IMAGES * 255))).all()  # a value of a trace is none yet


def test_an_array_that_a_traced_function_holds_has_values():
    model, images = small.model(), jnp.asarray(BYTES, jnp.float32)
    with pytest.raises(InputError, match="divide by 255"):
        jax.eval_shape(lambda: model(images, "embed"))


def test_convolutional_networks_have_the_same_door():
    resnet = abstract(ResNetConfig(image_size=(32, 32), classes=4))
    with pytest.raises(InputError, match="images are uint8"):
        jax.eval_shape(lambda model, images: model(images), resnet, BYTES)
    with pytest.raises(InputError, match="channels stand first"):
        jax.eval_shape(lambda model, images: model(images), resnet, np.moveaxis(IMAGES, -1, 1))


def test_the_water_ouzel_is_one_or_is_refused(shared_data):
    model = vitjax.load(shared_data / "vit_tiny_patch16_224")
    with zipfile.ZipFile(shared_data / "imagenet-samples/images.zip") as photos:
        name = next(name for name in photos.namelist() if "0020_" in name)
        pixels = prepare(decode(photos.read(name)), model.config)[None]
    best = jax.jit(lambda model, images: model(images)["logits"].argmax())
    assert best(model, pixels / 255) == 20
    for wrong in (pixels, pixels.astype(np.int32), pixels > 99):
        with pytest.raises(InputError, match="floats with values in"):
            best(model, wrong)
    for wrong in (pixels.astype(np.float32), pixels / 127.5 - 1):
        with pytest.raises(InputError, match="not from 0 to 1"):
            model(wrong)


def test_masks_and_lists_of_anything_else_are_named():
    with pytest.raises(InputError, match="masked array"):
        small.model()(np.ma.array(np.zeros((1, 32, 32, 3), np.float32)))
    for wrong in (["a.jpg"], [np.zeros((2, 2, 3)), np.zeros((3, 3, 3))]):
        with pytest.raises(InputError, match=r"a model takes one array \[batch, height, width, channels\]"):
            small.model()(wrong)
