"""What a model sees of the views of pictures at a step: their embedding, or only some of its tokens."""

import math
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from vitjax.models.core.network import Network
from vitjax.optimize.augment import Views
from vitjax.optimize.recipes import Recipe

_DRAW = 1  # sets the draw of places apart from the other draws of a step


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
