"""One picture becomes its views for one step: colour shift, noise and jitter, drawn from the slot's own key."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vitjax.optimize.recipes import Recipe


def views(key: jax.Array, image: Float[Array, "h w 3"], step: jax.Array, recipe: Recipe) -> Float[Array, "view h w 3"]:
    """Draws the views of one picture at one step.

    The values leave [0, 1] on purpose: the model sees them unclipped (Ghiasi et al., `augmentation/pre.py`).
    """
    color, noise, jitter = jax.random.split(key, 3)
    image = jnp.broadcast_to(image, (recipe.views, *image.shape))
    image = _COLORS[recipe.color](image, *color_shift(color, step, recipe))
    return roll(jitter, image + noise_at(noise, image.shape, step, recipe), recipe)


def color_shift(key: jax.Array, step: jax.Array, recipe: Recipe) -> tuple[jax.Array, jax.Array]:
    """Draws mu in U(-c, c) and sigma in exp(U(-c, c)) for each view and channel: two arrays [view, 1, 1, 3]."""
    strength = recipe.color_strength * (1 - step / recipe.steps if recipe.color_anneal else 1)
    shape = (2, recipe.views, 1, 1, 3)
    mu, log_sigma = jax.random.uniform(key, shape, minval=-strength, maxval=strength)
    return mu, jnp.exp(log_sigma)


_COLORS = {
    "divide": lambda image, mu, sigma: (image - mu) / sigma,
    "multiply": lambda image, mu, sigma: image * sigma + mu,
    "none": lambda image, mu, sigma: image,
}


def noise_scale(step: jax.Array, recipe: Recipe) -> jax.Array:
    """The standard deviation of the noise at a step: `noise * max(steps - 3 - step, 0) / (steps - 1)` when annealed.

    The reference draws once before the first step, so it starts one notch below `noise` and reaches 0 early.
    """
    if not recipe.noise_anneal:
        return jnp.asarray(recipe.noise, jnp.float32)
    return recipe.noise * jnp.maximum(recipe.steps - 3 - step, 0) / max(recipe.steps - 1, 1)


def noise_at(key: jax.Array, shape: tuple[int, ...], step: jax.Array, recipe: Recipe) -> jax.Array:
    """Draws the noise of one step for views of `shape` [view, h, w, 3], constant over h and w unless per pixel."""
    if recipe.noise_shape == "channel":
        shape = (shape[0], 1, 1, shape[3])
    return jax.random.normal(key, shape) * noise_scale(step, recipe)


def roll(key: jax.Array, image: Float[Array, "view h w 3"], recipe: Recipe) -> Float[Array, "view h w 3"]:
    """Rolls the views circularly by whole pixels in [-jitter, jitter], together or each by itself."""
    if not recipe.jitter:
        return image
    count = recipe.views if recipe.jitter_per_view else 1
    shifts = jax.random.randint(key, (count, 2), -recipe.jitter, recipe.jitter + 1)
    if recipe.jitter_per_view:
        return jax.vmap(lambda view, shift: jnp.roll(view, shift, (0, 1)))(image, shifts)
    return jnp.roll(image, shifts[0], (1, 2))
