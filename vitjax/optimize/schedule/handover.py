"""Hands pictures over from one stage to the next, which may write them in another way and at another size."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, UInt8

from vitjax.optimize.loop import Slots
from vitjax.optimize.optimizers import transform
from vitjax.optimize.parametrize import Size, parametrization, scales
from vitjax.optimize.schedule.plan import Leg


@partial(jax.jit, static_argnames=("before", "after"))
def handed_over(slots: Slots, *, before: Leg, after: Leg) -> Slots:
    """Gives the slots of the next stage before its first step: the same pictures, an optimizer that knows nothing."""
    params = jax.vmap(partial(rewritten, before=before, after=after))(slots.params)
    return Slots(params, jax.vmap(transform(after.recipe).init)(params), jnp.zeros_like(slots.step))


def scaled(images: UInt8[np.ndarray, "slot h w color"], size: Size) -> Float[Array, "slot H W color"]:
    """Gives images in [0, 1] at the size of the stage that begins with them."""
    images = jnp.asarray(images, jnp.float32) / 255
    if images.shape[1:3] == size:
        return images
    return jnp.clip(jax.image.resize(images, (len(images), *size, images.shape[3]), "cubic"), 0, 1)


def rewritten(params: Array, *, before: Leg, after: Leg) -> Array:
    """One picture's parameters: coefficients are kept as they are, other pictures are resized."""
    old, new = before.config.image_size, after.config.image_size
    names = {before.recipe.parametrization, after.recipe.parametrization}
    if old == new and len(names) == 1 and before.recipe.decay == after.recipe.decay:
        return params
    if names == {"fourier"} and old[0] <= new[0] and old[1] <= new[1]:
        coefficients = jax.lax.complex(params[0], params[1]) * scales(old, before.recipe)
        found = enlarged(coefficients, old, new) / scales(new, after.recipe)
        return jnp.stack([found.real, found.imag])
    shown, wanted = (parametrization(leg.config.image_size, leg.recipe, leg.config.channels) for leg in (before, after))
    image = jax.image.resize(shown.image(params), (*new, after.config.channels), "cubic")
    return wanted.params(jnp.clip(image, 0, 1))


def enlarged(coefficients: Complex[Array, "h half color"], old: Size, new: Size) -> Complex[Array, "H Half color"]:
    """The Fourier coefficients of the same picture on a finer grid: between the old places it is as smooth as can be.

    The highest frequency of an even side, which a grid cannot tell from its negative, becomes half of each.

    Args:
        coefficients: as of `jnp.fft.rfft2`, of a picture of size `old`.
        old, new: (height, width); neither side gets smaller.
    """
    (height, width), (rows, columns) = old, new
    low = jnp.fft.fftshift(coefficients, axes=0)  # rows from -height // 2 on
    if height % 2 == 0 and rows > height:
        low = jnp.concatenate([low[:1] / 2, low[1:], low[:1] / 2])
    if width % 2 == 0 and columns > width:
        low = low.at[:, -1].divide(2)
    above = rows // 2 - height // 2
    around = (above, rows - above - low.shape[0]), (0, columns // 2 + 1 - low.shape[1]), (0, 0)
    whole = jnp.fft.ifftshift(jnp.pad(low, around), axes=0)
    return whole * np.float32(rows * columns / (height * width))
