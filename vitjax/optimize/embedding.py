"""The views of pictures in, their tokens out: views that differ in colour alone are cut and multiplied once.

A patch embedding is linear, so that of `gain * base + shift` follows from the three colour planes of `base`: one
picture's products serve all its views, forward and backward.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from vitjax.models.vit import ViT
from vitjax.optimize.augment import Views


def embed(model: ViT, seen: Views) -> Float[Array, "image token channel"]:
    """The token embeddings of views with a leading slot axis, `slot * view` images in that order, as of `ViT.embed`."""
    if seen.base.shape[1] > 1:
        images = jax.vmap(lambda seen: seen.images)(seen)
        return model.embed(model.normalise(images.reshape(-1, *images.shape[2:])))
    kernel = model.patch.kernel[...]
    planes = kernel.reshape(-1, 3, kernel.shape[1])  # pixel, colour, channel
    mean, std = (jnp.asarray(value) for value in (model.config.preprocess.mean, model.config.preprocess.std))
    gain, shift = (seen.gain / std)[:, :, 0, 0], ((seen.shift - mean) / std)[:, :, 0, 0]
    pieces = model.cut(seen.base[:, 0]).astype(kernel.dtype)
    pieces = pieces.reshape(*pieces.shape[:2], *planes.shape[:2])
    wide = jnp.promote_types(kernel.dtype, jnp.float32)
    shared = jnp.einsum("spxc,xcd->spcd", pieces, planes, preferred_element_type=wide)
    patches = jnp.einsum("svc,spcd->svpd", gain, shared) + jnp.einsum("svc,xcd->svd", shift, planes)[:, :, None]
    if model.patch.bias is not None:
        patches = patches + model.patch.bias[...]
    return model.arrange(patches.reshape(-1, *patches.shape[2:]).astype(kernel.dtype))
