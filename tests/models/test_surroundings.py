"""Whatever JAX is set to, nothing fails and the pictures are the same: promotion, 64 bits, other generators."""

from contextlib import ExitStack, contextmanager
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.support import noise, small
from vitjax.analysis.ablations.positions import permutations
from vitjax.bench.measure import Setting, measure
from vitjax.data.dataset import open_dataset
from vitjax.models import text_tower as text
from vitjax.models.convnets.densenet import DenseNetConfig
from vitjax.models.convnets.resnet import ResNetConfig
from vitjax.models.core.config import Rotary, TextConfig, ViTConfig
from vitjax.models.core.surroundings import key, standard
from vitjax.models.registry import abstract
from vitjax.optimize.recipes import choose
from vitjax.optimize.visualize import visualize

TINY = ViTConfig(
    image_size=(16, 16), patch_size=(8, 8), width=24, depth=1, heads=2, mlp_width=32, classes=4, registers=1
)
UNITS = "blocks.0.mlp.hidden:0-1"


@contextmanager
def settings(**given):
    """JAX set to something else: {name of its context manager: argument}."""
    with ExitStack() as stack:
        for name, value in given.items():
            stack.enter_context(getattr(jax, name)(value))
        yield


STRICT = {"numpy_rank_promotion": "raise", "numpy_dtype_promotion": "strict"}
OTHER = {"enable_x64": True, "default_prng_impl": "unsafe_rbg", "threefry_partitionable": False}
CONFIGS = {
    "ViT": small.CONFIG,
    "EVA-02": replace(
        small.CONFIG, registers=0, rotary=Rotary(), gated=True, attn_norm=True, mlp_norm=True, pool="mean",
        final_norm="pooled",
    ),
    "DINOv3": replace(small.CONFIG, rotary=Rotary(centred=True, halves=True), layer_scale=True),
    "BEiT": replace(small.CONFIG, registers=0, relative_bias=True),
    "SigLIP": replace(small.CONFIG, registers=0, class_token=False, pool="attention", qk_norm=True),
    "CLIP": replace(small.CONFIG, registers=0, pre_norm=True, projection=8, classes=0, activation="quick_gelu"),
    "DeiT": replace(small.CONFIG, registers=0, distilled=True),
    "DINOv2": replace(small.CONFIG, pool="token+mean"),
    "ResNet": ResNetConfig(image_size=(32, 32), classes=10, depths=(1, 1, 1, 1)),
    "DenseNet": DenseNetConfig(image_size=(32, 32), classes=10, depths=(1, 1, 1, 1)),
}  # fmt: skip


@pytest.mark.representatives("ViT", "DINOv3", "SigLIP", "ResNet")
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_every_family_can_be_called_where_nothing_is_promoted(config):
    model, images = abstract(config), jax.ShapeDtypeStruct((2, *config.image_size, 3), jnp.float32)
    plain = jax.eval_shape(lambda model, images: model(images, list(model.taps())), model, images)
    with settings(**STRICT):
        strict = jax.eval_shape(lambda model, images: model(images, list(model.taps())), model, images)
        total = lambda images, model: model(images)[model.output].sum()
        assert jax.eval_shape(jax.grad(total), images, model).shape == images.shape
    assert strict == plain


def test_a_text_tower_can_be_called_where_nothing_is_promoted():
    model = text.abstract(TextConfig(width=24, depth=2, heads=2, mlp_width=32, vocabulary=9, context=5, eos=8))
    with settings(**STRICT):
        ids = jax.ShapeDtypeStruct((2, 5), jnp.int32)
        assert jax.eval_shape(lambda model, ids: model(ids), model, ids)["embedding"].shape == (2, 512)


def test_pictures_are_the_same_to_the_byte():
    model, recipe = noise.model(TINY), choose("default", steps=2, views=2, seen=0.5, noise_shape="pixel", stages=())
    wanted = visualize(model, UNITS, recipe)
    with settings(**STRICT, **OTHER):
        found = visualize(model, UNITS, recipe)
    np.testing.assert_array_equal(found.images, wanted.images)
    np.testing.assert_array_equal(found.activation, wanted.activation)
    for name, values in wanted.history.items():
        np.testing.assert_array_equal(found.history[name], values)
        assert found.history[name].dtype == np.float32


def test_the_loop_is_timed_where_nothing_is_promoted():
    setting = Setting(tap="blocks.0.mlp.hidden", batch=1, views=1, dtype="float32", remat=False)
    with settings(**STRICT, **OTHER):
        row = measure(noise.model(TINY), choose("ghiasi", steps=1, views=1), setting, steps=1, rate=1e9)
    assert row.steps_per_second > 0


def test_photographs_are_measured_the_same():
    from vitjax.analysis.photographs.exemplars import exemplars

    model, images = noise.model(TINY), list(np.random.default_rng(0).integers(0, 256, (3, 20, 20, 3), np.uint8))
    run = lambda: exemplars(model, open_dataset(images, TINY, batch=2), "blocks.0.mlp.hidden", k=2).taps
    wanted = run()["blocks.0.mlp.hidden"]
    with settings(**STRICT, **OTHER):
        found = run()["blocks.0.mlp.hidden"]
    np.testing.assert_array_equal(found.place, wanted.place)
    np.testing.assert_array_equal(found.tally.mean, wanted.tally.mean)


def test_draws_do_not_depend_on_the_generator_that_jax_is_set_to():
    images = jnp.asarray(np.random.default_rng(0).random((2, 16, 16, 3), np.float32))
    draws = lambda: (permutations(images, 3, 16), jax.random.key_data(key(7)))
    wanted = draws()
    with settings(**OTHER), standard():
        found = draws()
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype


def test_surroundings_are_left_as_they_were():
    with settings(**STRICT, **OTHER):
        with standard():
            assert jnp.zeros(1).dtype == np.float32 and (jnp.ones(3) + jnp.ones((2, 3))).shape == (2, 3)
        assert jnp.zeros(1).dtype == np.float64
        with pytest.raises(ValueError, match="rank_promotion"):
            jnp.ones(3) + jnp.ones((2, 3))
