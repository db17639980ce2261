"""Draws the views of a picture for one step, from the slot's own key, and embeds what the model sees of them.

Views differ in colour, noise and jitter, and may show some of their patches alone.
"""

import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from vitjax.models.core.network import Network
from vitjax.optimize.recipes import Recipe

_DRAW = 1  # sets the draw of places apart from the other draws of a step


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
    return jax.vmap(lambda shift: _rolled(image[0], shift))(shifts)


@jax.custom_vjp
def _rolled(image: Float[Array, "h w color"], shift: Int[Array, " 2"]) -> Float[Array, "h w color"]:
    """A picture rolled circularly; its gradient is rolled back, where JAX would add up what it scatters."""
    by_copies = lambda image, shift: jnp.roll(image, shift, (0, 1))
    return lax.platform_dependent(image, shift, tpu=_rolled_by_products, default=by_copies)


_rolled.defvjp(lambda image, shift: (_rolled(image, shift), shift), lambda shift, back: (_rolled(back, -shift), None))


def _rolled_by_products(image: Float[Array, "h w color"], shift: Int[Array, " 2"]) -> Float[Array, "h w color"]:
    """The same, to the bit, by products with ones and zeros: a TPU has no cheap move by a number known so late."""
    sides = zip(image.shape[:2], shift, strict=True)
    ys, xs = (jax.nn.one_hot((jnp.arange(side) - by) % side, side, dtype=image.dtype) for side, by in sides)
    return jnp.einsum("yv,vuc,xu->yxc", ys, image, xs, precision=lax.Precision.HIGHEST)


def embed(model: Network, seen: Views) -> Float[Array, "image *places channel"]:
    """What `model.embed` gives of views with a leading slot axis, `slot * view` images in that order."""
    if seen.base.shape[1] == 1:
        return model.embed_views(seen.base[:, 0], seen.gain[:, :, 0, 0], seen.shift[:, :, 0, 0])
    images = jax.vmap(lambda seen: seen.images)(seen)
    return model.embed(model.normalise(images.reshape(-1, *images.shape[2:])))


def some(model: Network, keys: jax.Array, embedded: Array, recipe: Recipe) -> Array:
    """The recipe's share of the patches of each image, drawn from its slot's key, and all tokens that are none."""
    if recipe.seen == 1:
        return embedded
    draw = partial(_PLACES[recipe.seen_shape], count=recipe.views, grid=model.config.grid, share=recipe.seen)
    places = jax.vmap(lambda key: draw(jax.random.fold_in(key, _DRAW)))(keys)
    return model.keep(embedded, places.reshape(len(embedded), -1))


def _share(count: int, share: float) -> int:
    return max(1, round(share * count))


def _window(grid: tuple[int, int], share: float) -> tuple[int, int]:
    """Rows and columns of a window, its sides in the grid's proportion."""
    return _share(grid[0], share**0.5), _share(grid[1], share**0.5)


def _scattered(key: jax.Array, count: int, grid: tuple[int, int], share: float) -> Int[Array, "view place"]:
    patches = math.prod(grid)
    return jnp.argsort(jax.random.uniform(key, (count, patches), jnp.float32))[:, : _share(patches, share)]


def _windows(key: jax.Array, count: int, grid: tuple[int, int], share: float) -> Int[Array, "view row column"]:
    rows, columns = _window(grid, share)
    corners = jnp.array([grid[0] - rows, grid[1] - columns]) + 1
    top, left = jax.random.randint(key, (count, 2), 0, corners, jnp.int32).T[..., None, None]
    return (top + jnp.arange(rows)[:, None]) * grid[1] + left + jnp.arange(columns)


# The patches that each of `count` views of a picture shows, by the recipe's `seen_shape`.
_PLACES = {"scattered": _scattered, "window": _windows}
