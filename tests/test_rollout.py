"""Rollout and attention maps: rows that sum to 1, products by hand, gradients by finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests import noise, small
from vitjax.analysis import rollout_figures
from vitjax.analysis.rollout import (
    METHODS,
    at_grid,
    attention,
    gradient_weighted,
    mixing,
    relevance,
    rollout,
)
from vitjax.errors import InputError
from vitjax.models.config import ViTConfig
from vitjax.models.vit import random

MODEL = noise.model(small.CONFIG)
DATA = noise.dataset(5, 2)
IMAGES = jnp.asarray(noise.pixels(DATA)[:2])
TOKENS, PREFIX = small.CONFIG.tokens, small.CONFIG.prefix


@pytest.fixture(scope="module")
def probs():
    """The attention of every block, [layer, image, head, query, key]."""
    return np.asarray(jax.jit(attention)(MODEL, IMAGES))


def test_attention_is_that_of_each_block_in_order(probs):
    for i in (0, 3):
        np.testing.assert_allclose(probs[i], MODEL(IMAGES, f"blocks.{i}.attn.probs")[f"blocks.{i}.attn.probs"])
    assert attention(MODEL, IMAGES, 2).shape == (2, *probs.shape[1:])


def test_the_rows_of_a_rollout_sum_to_one(probs):
    rolled = np.asarray(rollout(mixing(probs.mean(axis=2))))
    np.testing.assert_allclose(rolled.sum(axis=-1), 1, atol=1e-5)
    assert (rolled[0].diagonal(axis1=1, axis2=2) >= 0.5).all() and (rolled >= 0).all()


@pytest.mark.parametrize("residual", [0, 0.25, 0.5])
def test_a_rollout_is_the_product_of_what_the_blocks_do(probs, residual):
    mean = probs.mean(axis=2)[:, 1].astype(np.float64)
    product = np.eye(TOKENS)
    for layer, found in enumerate(rollout(mixing(probs.mean(axis=2), residual))):
        product = ((1 - residual) * mean[layer] + residual * np.eye(TOKENS)) @ product
        np.testing.assert_allclose(found[1], product, rtol=1e-4, atol=1e-7)


def test_heads_roll_out_apart(probs):
    apart = rollout(mixing(probs))
    np.testing.assert_allclose(apart[:, :, 2], rollout(mixing(probs[:, :, 2])), rtol=1e-5, atol=1e-8)


def test_gradients_are_those_of_the_class_logit(probs):
    classes = jnp.array([3, 7])
    found = np.asarray(jax.jit(gradient_weighted)(MODEL, IMAGES, classes))
    layer, image, query, key = 2, 1, 5, 0

    @jax.jit
    def logit(amount):  # added to one probability of each head
        edit = lambda p: p.at[image, head, query, key].add(amount)
        return MODEL(IMAGES, "logits", {f"blocks.{layer}.attn.probs": edit})["logits"][image, classes[image]]

    total = 0
    for head in range(3):
        slope = jax.jit(jax.grad(lambda amount, head=head: _logit(amount, layer, image, head, query, key)))(0.0)
        total += max(float(slope) * probs[layer, image, head, query, key], 0) / 3
    assert found[layer, image, query, key] == pytest.approx(total, rel=1e-4, abs=1e-9)
    assert (found >= 0).all() and found[:3].max() > 0
