"""The parts of the embedded model's training that could be wrong without a trace in its loss."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.demo import augment, distill
from experiments.demo.optimizer import optimizer
from experiments.demo.settings import Training
from experiments.demo.student import either
from vitjax.models.kernels.products import dot_general


@pytest.mark.parametrize(("shape", "kernel"), [((4, 6, 8), (8, 3, 5)), ((4, 6, 2, 8), (2, 8, 5))])
def test_products_and_their_gradients_are_those_of_float32(shape, kernel):
    rng = np.random.default_rng(0)
    x, w = (jnp.asarray(rng.normal(size=size), jnp.float32) for size in (shape, kernel))
    summed = len(kernel) - 1 if len(shape) == 4 else 1
    axes = tuple(range(len(shape) - summed, len(shape))), tuple(range(summed))
    loss = lambda product: lambda x, w: jnp.sin(product(x, w, (axes, ((), ())))).sum()
    for ours, theirs in zip(
        jax.grad(loss(dot_general), (0, 1))(x, w), jax.grad(loss(jax.lax.dot_general), (0, 1))(x, w), strict=True
    ):
        assert ours.dtype == jnp.float32
        assert np.linalg.norm(ours - theirs) < 0.03 * np.linalg.norm(theirs)


def test_a_mirrored_image_is_taught_what_stood_there():
    grid = jnp.arange(12).reshape(1, 3, 4, 1).repeat(2, axis=0)
    tokens = jnp.concatenate([jnp.full((2, 1, 1), -1), grid.reshape(2, 12, 1)], axis=1)
    turned, places = jnp.array([True, False]), jnp.array([[0, 5, 11]] * 2)
    taught = augment.pick(tokens, augment.unmirrored(places, turned, columns=4))[..., 0]
    seen = augment.mirrored(grid, turned).reshape(2, 12)
    np.testing.assert_array_equal(taught[:, 1:], jnp.take_along_axis(seen, places, axis=1))
    np.testing.assert_array_equal(taught[:, 0], [-1, -1])


def test_either_loss_has_its_own_gradient():
    losses = (lambda learned: jnp.sin(learned["x"]).sum(), lambda learned: (learned["x"] ** 2).sum())
    learned = {"x": jnp.array([0.3, 2.0])}
    both = jax.jit(jax.value_and_grad(lambda learned, first: 3 * either(first, *losses, learned)))
    for first, loss in zip((True, False), losses, strict=True):
        value, gradient = both(learned, first)
        np.testing.assert_allclose(value, 3 * loss(learned), rtol=1e-6)
        np.testing.assert_allclose(gradient["x"], 3 * jax.grad(loss)(learned)["x"], rtol=1e-6)


def test_the_rate_rises_from_zero_and_falls_to_it():
    transform = optimizer(Training(steps=10, warmup=2))
    model = {"model": distill.Pupil(4, 6, 5, (2, 2), 0)}
    update = jax.jit(lambda state: transform.update(jax.tree.map(jnp.ones_like, model), state, model))
    state, moved = transform.init(model), []
    for _ in range(10):
        updates, state = update(state)
        moved.append(max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(updates)))
    assert moved[0] == 0 and 0 < moved[1] < moved[2] and 0 < moved[-1] < 0.3 * max(moved)
