"""How a picture is written down while it is optimised: parameters to an image in [0, 1], per slot."""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from vitjax.optimize.recipes import Recipe

Size = tuple[int, int]


@dataclass(frozen=True)
class Parametrization:
    """Four functions between parameters and images [h, w, 3].

    Attributes:
        init: draws the first parameters from a key.
        params: the parameters of a given image.
        image: the image of parameters.
        project: brings updated parameters back in bounds.
    """

    init: Callable[[jax.Array], jax.Array]
    params: Callable[[jax.Array], jax.Array]
    image: Callable[[jax.Array], jax.Array]
    project: Callable[[jax.Array], jax.Array]


def pixels(size: Size, recipe: Recipe) -> Parametrization:
    """RGB values in [0, 1], uniform at first, clamped after every update (Ghiasi et al. A.5)."""
    return Parametrization(
        init=lambda key: jax.random.uniform(key, (*size, 3)),
        params=lambda image: image,
        image=lambda params: params,
        project=lambda params: jnp.clip(params, 0, 1),
    )


# Square root of the covariance of RGB values in ImageNet photographs, in Lucid's normalisation: columns are the
# decorrelated colours, brightness first (Olah, Mordvintsev, Schubert 2017, distill.pub/2017/feature-visualization).
_COLOR_SQRT = np.array([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]], np.float32)
EDGE = 0.02  # black and white of an image that is written down: the sigmoid reaches them nowhere
COLORS = _COLOR_SQRT / np.linalg.norm(_COLOR_SQRT, axis=0).max()


def fourier(size: Size, recipe: Recipe) -> Parametrization:
    """Fourier coefficients of decorrelated colour planes, scaled by 1 / frequency ** decay, through a sigmoid.

    Every frequency then moves at the pace natural images give it (Olah et al. 2017, "preconditioning").
    """
    height, width = size
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    scale = np.sqrt(height * width) / np.maximum(frequency, 1 / max(size)) ** recipe.decay / 4
    scale = jnp.asarray(scale[..., None], jnp.float32)

    def image(params):
        planes = jnp.fft.irfft2(jax.lax.complex(params[0], params[1]) * scale, size, axes=(0, 1))
        return jax.nn.sigmoid(planes @ COLORS.T)

    def params(image):
        inside = jnp.clip(image, EDGE, 1 - EDGE)
        planes = (jnp.log(inside) - jnp.log1p(-inside)) @ np.linalg.inv(COLORS.T)
        coefficients = jnp.fft.rfft2(planes, axes=(0, 1)) / scale
        return jnp.stack([coefficients.real, coefficients.imag])

    shape = (2, *frequency.shape, 3)
    return Parametrization(lambda key: jax.random.normal(key, shape) * 0.01, params, image, lambda params: params)


PARAMETRIZATIONS: dict[str, Callable[[Size, Recipe], Parametrization]] = {"pixels": pixels, "fourier": fourier}


def parametrization(size: Size, recipe: Recipe) -> Parametrization:
    """The recipe's parametrization for pictures of `size` (height, width)."""
    return PARAMETRIZATIONS[recipe.parametrization](size, recipe)
