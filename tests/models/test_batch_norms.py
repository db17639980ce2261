"""The normalizers beside DTN against their definitions, and what of them moves while a model learns."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from tests.support.small import convnet as filled
from vitjax.models.core.config import BlockConfig, ViTConfig
from vitjax.models.norms.batch import BatchNorm
from vitjax.models.norms.dtn import PRESETS
from vitjax.models.parts.norm import NORMS, across_tokens, norm
from vitjax.train.loop.moving import with_moving

RNG = np.random.default_rng(0)
EPS = 1e-5
WIDTH = 24
X = RNG.normal(1.5, 2, (4, 10, WIDTH)).astype(np.float32)
WAS = {
    "moving_mean": RNG.normal(0, 1, WIDTH).astype(np.float32),
    "moving_variance": RNG.uniform(1, 2, WIDTH).astype(np.float32),
    "moving_square": RNG.uniform(1, 2, WIDTH).astype(np.float32),
    "moving_slope": RNG.normal(0, 0.1, WIDTH).astype(np.float32),
}


def made(name: str) -> nnx.Module:
    """A norm whose moving statistics are `WAS`."""
    found = norm(BlockConfig(width=WIDTH, norm=name, norm_eps=EPS), nnx.Rngs(0), grid=(10,))
    for held, value in WAS.items():
        if hasattr(found, held):
            getattr(found, held).set_value(jnp.asarray(value))
    return found


def by(x: np.ndarray, *axes: int) -> np.ndarray:
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + EPS)


def switched(mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    means = X.mean(1, keepdims=True) + X.mean(2, keepdims=True) + mean
    variances = X.var(1, keepdims=True) + X.var(2, keepdims=True) + variance
    return (X - means / 3) / np.sqrt(variances / 3 + EPS)


MEAN, VARIANCE = WAS["moving_mean"], WAS["moving_variance"]
IN_EVALUATION = {
    "batch": lambda: (X - MEAN) / np.sqrt(VARIANCE + EPS),
    "instance": lambda: by(X, 1),
    "group": lambda: by(X.reshape(4, 10, 8, 3), 1, 3).reshape(X.shape),  # as many as divide 24 and 32
    "switchable": lambda: switched(MEAN, VARIANCE),
    "scale": lambda: X * np.sqrt(WIDTH) / np.linalg.norm(X, axis=2, keepdims=True),
    "power": lambda: X / np.sqrt(WAS["moving_square"] + EPS),
}
WHILE_LEARNING = IN_EVALUATION | {
    "batch": lambda: by(X, 0, 1),
    "switchable": lambda: switched(X.mean((0, 1)), X.var((0, 1))),
}


def test_there_is_a_row_for_each():
    assert IN_EVALUATION.keys() | {"layer", "affine"} | PRESETS.keys() == NORMS.keys()
    assert not any(map(across_tokens, ("layer", "affine", "scale")))


@pytest.mark.parametrize("name", IN_EVALUATION)
def test_they_are_what_their_papers_say(name):
    found = made(name)
    run = jax.jit(lambda norm, x: norm(x))
    np.testing.assert_allclose(run(found, X), IN_EVALUATION[name](), atol=2e-5)
    np.testing.assert_allclose(run(found, X[:1])[0], run(found, X)[0], atol=1e-6)
    found = learning(found)
    np.testing.assert_allclose(run(found, X), WHILE_LEARNING[name](), atol=2e-5)
    half = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), found)
    assert jax.eval_shape(half, X.astype(jnp.bfloat16)).dtype == jnp.bfloat16


def learning(module: nnx.Module) -> nnx.Module:
    """A copy that learns."""
    copy = jax.tree.map(lambda leaf: leaf, module)
    copy.train()
    return copy


def stepped(norm: nnx.Module, back: np.ndarray) -> nnx.Module:
    """The norm after a step that leaves parameters alone, of a loss whose gradient is `back`."""
    transform = with_moving(optax.set_to_zero(), norm)
    gradient = jax.jit(jax.grad(lambda norm: (learning(norm)(jnp.asarray(X)) * back).sum()))(norm)
    return optax.apply_updates(norm, transform.update(gradient, transform.init(norm), norm)[0])


def test_what_moves_takes_a_tenth_of_each_batch():
    back = RNG.normal(0, 1, X.shape).astype(np.float32)
    after = stepped(made("batch"), back)
    np.testing.assert_allclose(after.moving_mean[...], 0.9 * MEAN + 0.1 * X.mean((0, 1)), atol=1e-6)
    np.testing.assert_allclose(after.moving_variance[...], 0.9 * VARIANCE + 0.1 * X.var((0, 1), ddof=1), atol=1e-6)
    np.testing.assert_array_equal(after.scale[...], 1)
    after = stepped(made("power"), back)
    square, slope = WAS["moving_square"], WAS["moving_slope"]
    normed = X / np.sqrt(square + EPS)
    np.testing.assert_allclose(after.moving_square[...], 0.9 * square + 0.1 * np.square(X).mean((0, 1)), atol=1e-6)
    due = slope * (1 - 0.1 * np.square(normed).mean((0, 1))) + 0.1 * (back * normed).mean((0, 1))
    np.testing.assert_allclose(after.moving_slope[...], due, atol=1e-6)


def test_the_gradient_is_that_of_the_batch_and_power_norms_that_of_its_paper():
    back = RNG.normal(0, 1, X.shape).astype(np.float32)

    def through(norm: nnx.Module) -> np.ndarray:
        return jax.jit(jax.grad(lambda x: (learning(norm)(x) * back).sum()))(X)

    over = 1 / np.sqrt(X.var((0, 1)) + EPS)
    normed = by(X, 0, 1)
    due = over * (back - back.mean((0, 1)) - normed * (back * normed).mean((0, 1)))
    np.testing.assert_allclose(through(made("batch")), due, atol=1e-5)
    over = 1 / np.sqrt(WAS["moving_square"] + EPS)
    np.testing.assert_allclose(through(made("power")), (back - WAS["moving_slope"] * X * over) * over, atol=1e-5)


def test_what_moves_in_a_whole_model_moves_in_all_of_its_blocks():
    config = ViTConfig(24, 3, 2, 32, image_size=(16, 16), patch_size=(4, 4), classes=4, norm="batch", joins=2)
    model, images = filled(config), RNG.random((3, 16, 16, 3)).astype(np.float32)
    assert sum(isinstance(part, BatchNorm) for _, part in nnx.iter_modules(model)) == 2
    transform = with_moving(optax.set_to_zero(), model)

    @jax.jit
    def step(model):
        def loss(model):
            read = learning(model)(images, ["blocks.0.resid_pre", "blocks.1.resid_mid", "logits"])
            return read.pop("logits").sum(), read

        gradient, read = jax.grad(loss, has_aux=True)(model)
        return optax.apply_updates(model, transform.update(gradient, transform.init(model), model)[0]), read

    after, read = step(model)
    for norm_name, row, tap in (("norm1", 0, "blocks.0.resid_pre"), ("norm2", 1, "blocks.1.resid_mid")):
        was, found = (getattr(one.early, norm_name).moving_mean[...][row] for one in (model, after))
        np.testing.assert_allclose(found, 0.9 * was + 0.1 * read[tap].mean((0, 1)), atol=1e-5)
    assert model.early.norm1.use_running_average
    assert with_moving(transform, filled(replace(config, norm="layer"))) is transform
