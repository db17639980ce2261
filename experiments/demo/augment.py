"""What pictures go through before a model sees them in training, and which of their tokens it sees."""

import jax
import jax.numpy as jnp
from jax import lax


def mirrored(images: jax.Array, turned: jax.Array) -> jax.Array:
    """Images [batch, h, w, 3], those that are `turned` [batch] from right to left."""
    return jnp.where(turned[:, None, None, None], images[:, :, ::-1], images)


def unmirrored(places: jax.Array, turned: jax.Array, columns: int) -> jax.Array:
    """Where what is seen at places [batch, place], counted row by row, stood before images were mirrored."""
    row, column = jnp.divmod(places, columns)
    return jnp.where(turned[:, None], row * columns + columns - 1 - column, places)


def shift(key: jax.Array, image: jax.Array, most: int) -> jax.Array:
    """Moves an image [h, w, 3] by up to `most` pixels each way; its edges go on."""
    wide = jnp.pad(image, ((most, most), (most, most), (0, 0)), mode="edge")
    start = jax.random.randint(key, (2,), 0, 2 * most + 1)
    return lax.dynamic_slice(wide, (*start, 0), image.shape)


def recolour(key: jax.Array, image: jax.Array, share: float) -> jax.Array:
    """Changes brightness, contrast and saturation of an image [h, w, 3] in [0, 1] by factors in 1 ± `share`."""
    brightness, contrast, saturation = jax.random.uniform(key, (3,), minval=1 - share, maxval=1 + share)
    mean = image.mean(axis=(0, 1))
    image = mean + contrast * (image - mean)
    grey = image.mean(axis=-1, keepdims=True)
    return jnp.clip(brightness * (grey + saturation * (image - grey)), 0, 1)


def some_of(key: jax.Array, images: int, patches: int, keep: int) -> jax.Array:
    """`keep` of the patches of each image at random, in order: [image, place]."""
    return jnp.sort(jnp.argsort(jax.random.uniform(key, (images, patches)), axis=1)[:, :keep], axis=1)


def pick(tokens: jax.Array, places: jax.Array) -> jax.Array:
    """The class token and the patch tokens at some places of each image, of [image, token, channel]."""
    return jnp.concatenate([tokens[:, :1], jnp.take_along_axis(tokens[:, 1:], places[..., None], axis=1)], axis=1)
