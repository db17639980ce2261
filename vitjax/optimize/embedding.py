"""The views of pictures in, what a model embeds them as out: a ViT's tokens, or the map of a first convolution.

Of a ViT, views that differ in colour alone are cut and multiplied once. A patch embedding is linear, so that of
`gain * base + shift` follows from the colour planes of `base`: one picture's products serve all its views,
forward and backward.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from vitjax.models.core.config import ViTConfig
from vitjax.models.core.network import Network
from vitjax.models.vit import ViT
from vitjax.optimize.augment import Views
from vitjax.optimize.recipes import Recipe

_DRAW = 1  # sets the draw of places apart from the other draws of a step


def embed(model: Network, seen: Views) -> Float[Array, "image *places channel"]:
    """What `model.embed` gives of views with a leading slot axis, `slot * view` images in that order."""
    if seen.base.shape[1] > 1 or not isinstance(model, ViT):
        images = jax.vmap(lambda seen: seen.images)(seen)
        return model.embed(model.normalise(images.reshape(-1, *images.shape[2:])))
    kernel = model.patch.kernel[...]
    planes = kernel.reshape(-1, model.config.channels, kernel.shape[1])  # pixel, colour, channel
    mean, std = (jnp.asarray(value) for value in (model.config.preprocess.mean, model.config.preprocess.std))
    gain, shift = (seen.gain / std)[:, :, 0, 0], ((seen.shift - mean) / std)[:, :, 0, 0]
    pieces = model.cut(seen.base[:, 0].astype(kernel.dtype))
    pieces = pieces.reshape(*pieces.shape[:2], *planes.shape[:2])
    wide = jnp.promote_types(kernel.dtype, jnp.float32)
    shared = jnp.einsum("spxc,xcd->spcd", pieces, planes, preferred_element_type=wide)
    patches = jnp.einsum("svc,spcd->svpd", gain, shared) + jnp.einsum("svc,xcd->svd", shift, planes)[:, :, None]
    if model.patch.bias is not None:
        patches = patches + model.patch.bias[...]
    return model.arrange(patches.reshape(-1, *patches.shape[2:]).astype(kernel.dtype))


def some(
    keys: jax.Array, tokens: Float[Array, "image token channel"], recipe: Recipe, config: ViTConfig
) -> Float[Array, "image fewer channel"]:
    """All prefix tokens and the recipe's share of each image's patch tokens, drawn from its slot's key."""
    if recipe.seen == 1:
        return tokens
    draw = partial(_PLACES[recipe.seen_shape], count=recipe.views, grid=config.grid, share=recipe.seen)
    places = jax.vmap(lambda key: draw(jax.random.fold_in(key, _DRAW)))(keys)
    places = config.prefix + places.reshape(len(tokens), -1, 1)
    return jnp.concatenate([tokens[:, : config.prefix], jnp.take_along_axis(tokens, places, axis=1)], axis=1)


def count_seen(recipe: Recipe, config: ViTConfig) -> int:
    """How many patch tokens a view shows."""
    if recipe.seen_shape == "window":
        return math.prod(_window(config.grid, recipe.seen))
    return _share(config.patches, recipe.seen)


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
