"""The views of pictures in, what a model embeds them as out: a ViT's tokens, or the map of a first convolution.

Of a ViT, views that differ in colour alone are cut and multiplied once. A patch embedding is linear, so that of
`gain * base + shift` follows from the three colour planes of `base`: one picture's products serve all its views,
forward and backward.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vitjax.models.config import ViTConfig
from vitjax.models.network import Network
from vitjax.models.vit import ViT
from vitjax.optimize.augment import Views
from vitjax.optimize.recipes import Recipe

_PLACES = 1  # sets the draw of places apart from the other draws of a step


def embed(model: Network, seen: Views) -> Float[Array, "image *places channel"]:
    """What `model.embed` gives of views with a leading slot axis, `slot * view` images in that order."""
    if seen.base.shape[1] > 1 or not isinstance(model, ViT):
        images = jax.vmap(lambda seen: seen.images)(seen)
        return model.embed(model.normalise(images.reshape(-1, *images.shape[2:])))
    kernel = model.patch.kernel[...]
    planes = kernel.reshape(-1, 3, kernel.shape[1])  # pixel, colour, channel
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
    count = count_seen(recipe, config)
    places = jax.vmap(lambda key: _drawn(jax.random.fold_in(key, _PLACES), recipe.views, config.patches, count))(keys)
    places = config.prefix + places.reshape(-1, count, 1)
    return jnp.concatenate([tokens[:, : config.prefix], jnp.take_along_axis(tokens, places, axis=1)], axis=1)


def count_seen(recipe: Recipe, config: ViTConfig) -> int:
    """How many patch tokens a view shows."""
    return max(1, round(recipe.seen * config.patches))


def _drawn(key: jax.Array, views: int, patches: int, count: int) -> jax.Array:
    return jnp.argsort(jax.random.uniform(key, (views, patches)))[:, :count]
