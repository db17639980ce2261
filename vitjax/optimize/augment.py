"""Draws the views of a picture for one step: colour shift, noise and jitter, from the slot's own key."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vitjax.optimize.recipes import Recipe


class Views(NamedTuple):
    """The views of one picture as `gain * base + shift`: what they have in common stands, and is computed, once.

    Attributes:
        base: the picture after jitter, one for all views, or one for each where they differ in more than colour.
        gain: contrast of each view and channel.
        shift: brightness of each view and channel.
    """

    base: Float[Array, "shared h w color"]
    gain: Float[Array, "view 1 1 color"]
    shift: Float[Array, "view 1 1 color"]

    @property
    def images(self) -> Float[Array, "view h w color"]:
        """The views themselves."""
        return self.gain * self.base + self.shift


def views(key: jax.Array, image: Float[Array, "h w color"], step: jax.Array, recipe: Recipe) -> Views:
    """Draws the views of one picture at one step.

    The values leave [0, 1] on purpose: the model sees them unclipped (Ghiasi et al., `augmentation/pre.py`).
    """
    color, noise, jitter = jax.random.split(key, 3)
    gain, shift = _COLORS[recipe.color](*color_shift(color, step, recipe, image.shape[-1]))
    noise = noise_at(noise, (recipe.views, *image.shape), step, recipe)
    base = roll(jitter, image[None], recipe)
    if recipe.noise_shape == "channel":  # noise that is the same all over a view is a part of its shift
        return Views(base, gain, shift + noise)
    return Views(gain * base + shift + noise, jnp.ones_like(gain), jnp.zeros_like(shift))


def color_shift(key: jax.Array, step: jax.Array, recipe: Recipe, channels: int = 3) -> tuple[jax.Array, jax.Array]:
    """Draws mu in U(-c, c) and sigma in exp(U(-c, c)) for each view and channel: two arrays [view, 1, 1, channel]."""
    strength = recipe.color_strength * (1 - step / recipe.steps if recipe.color_anneal else 1)
    shape = (2, recipe.views, 1, 1, channels)
    mu, log_sigma = jax.random.uniform(key, shape, jnp.float32, minval=-strength, maxval=strength)
    return mu, jnp.exp(log_sigma)


# A view's gain and shift, from what was drawn for it.
_COLORS = {
    "divide": lambda mu, sigma: (1 / sigma, -mu / sigma),
    "multiply": lambda mu, sigma: (sigma, mu),
    "none": lambda mu, sigma: (jnp.ones_like(sigma), jnp.zeros_like(mu)),
}


def noise_scale(step: jax.Array, recipe: Recipe) -> jax.Array:
    """The standard deviation of the noise at a step: `noise * max(steps - 3 - step, 0) / (steps - 1)` when annealed.

    The reference draws once before the first step, so it starts one notch below `noise` and reaches 0 early.
    """
    if not recipe.noise_anneal:
        return jnp.asarray(recipe.noise, jnp.float32)
    return recipe.noise * jnp.maximum(recipe.steps - 3 - step, 0) / max(recipe.steps - 1, 1)


def noise_at(key: jax.Array, shape: tuple[int, ...], step: jax.Array, recipe: Recipe) -> jax.Array:
    """Draws the noise of a step for views of `shape` [view, h, w, channel], constant over h and w unless per pixel."""
    if recipe.noise_shape == "channel":
        shape = (shape[0], 1, 1, shape[3])
    return jax.random.normal(key, shape, jnp.float32) * noise_scale(step, recipe)


def roll(key: jax.Array, image: Float[Array, "1 h w color"], recipe: Recipe) -> Float[Array, "shared h w color"]:
    """Rolls the picture circularly by whole pixels in [-jitter, jitter], once for all views or for each by itself."""
    if not recipe.jitter:
        return image
    count = recipe.views if recipe.jitter_per_view else 1
    shifts = jax.random.randint(key, (count, 2), -recipe.jitter, recipe.jitter + 1, jnp.int32)
    return jax.vmap(lambda shift: jnp.roll(image[0], shift, (0, 1)))(shifts)
