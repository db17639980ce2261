"""The parametrizations of a picture: pixels, Fourier, pyramid, MACO, each from its parameters to an image in [0, 1]."""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from vitjax.models.kernels.fourier import irfft2
from vitjax.optimize.recipes import Recipe

Size = tuple[int, int]


@dataclass(frozen=True)
class Parametrization:
    """Four functions between parameters and images [h, w, channel].

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


def pixels(size: Size, recipe: Recipe, channels: int) -> Parametrization:
    """Values of every channel in [0, 1], uniform at first, clamped after every update (Ghiasi et al. A.5)."""
    return Parametrization(
        init=lambda key: jax.random.uniform(key, (*size, channels), jnp.float32),
        params=lambda image: image,
        image=lambda params: params,
        project=lambda params: jnp.clip(params, 0, 1),
    )


# Square root of the covariance of RGB values in ImageNet photographs, in Lucid's normalisation: columns are the
# decorrelated colours, brightness first (Olah, Mordvintsev, Schubert 2017, distill.pub/2017/feature-visualization).
_COLOR_SQRT = np.array([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]], np.float32)
EDGE = 0.02  # black and white of an image that is written down: the sigmoid reaches them nowhere
# How strong photographs are in each decorrelated colour: amplitude / frequency ** power, for a plane of one pixel, and
# the size of the mean (500 photographs of ImageNet's classes at 224 px: experiments/recipes/magnitudes.py).
AMPLITUDES = ((0.1056, 1.333, 0.974), (0.0606, 1.427, 1.488), (0.0946, 1.317, 1.193))
COLORS = _COLOR_SQRT / np.linalg.norm(_COLOR_SQRT, axis=0).max()


def fourier(size: Size, recipe: Recipe, channels: int) -> Parametrization:
    """Fourier coefficients of decorrelated colour planes, scaled by 1 / frequency ** decay, through a sigmoid.

    Every frequency then moves at the pace natural images give it (Olah et al. 2017, "preconditioning").
    """
    colors, scale = colors_of(channels), scales(size, recipe)

    def image(params):
        return _shown(irfft2(params[0] * scale, params[1] * scale, size), colors)

    def params(image):
        scaled = coefficients(image) / scale
        return jnp.stack([scaled.real, scaled.imag])

    shape = (2, *scale.shape[:2], channels)
    init = lambda key: jax.random.normal(key, shape, jnp.float32) * 0.01
    return Parametrization(init, params, image, lambda params: params)


def scales(size: Size, recipe: Recipe) -> Float[Array, "h half 1"]:
    """What a parameter of `fourier` is multiplied with to give a coefficient."""
    height, width = size
    scale = np.sqrt(height * width) / np.maximum(_frequency(size), 1 / max(size)) ** recipe.decay / 4
    return jnp.asarray(scale[..., None], jnp.float32)


def maco(size: Size, recipe: Recipe, channels: int) -> Parametrization:
    """Phases of the Fourier coefficients of decorrelated colour planes; their amplitudes are those of photographs.

    After Fel et al. 2023 (arXiv 2306.06805), here with amplitudes by a law of three numbers a colour.
    """
    magnitude, colors = jnp.asarray(magnitudes(size, channels)), colors_of(channels)

    def image(phase):
        return _shown(irfft2(magnitude * jnp.cos(phase), magnitude * jnp.sin(phase), size), colors)

    init = lambda key: jax.random.uniform(key, magnitude.shape, jnp.float32, minval=-np.pi, maxval=np.pi)
    return Parametrization(init, lambda image: jnp.angle(coefficients(image)), image, lambda params: params)


def magnitudes(size: Size, channels: int = 3) -> Float[np.ndarray, "h half color"]:
    """The amplitudes that photographs have at each frequency of each decorrelated colour, after `AMPLITUDES`.

    A channel beside red, green and blue has those of brightness.
    """
    frequency, pixels = _frequency(size)[..., None], np.sqrt(size[0] * size[1])
    laws = AMPLITUDES if channels >= 3 else ()
    amplitude, power, mean = np.transpose([*laws, *[AMPLITUDES[0]] * (channels - len(laws))])
    planes = np.where(frequency > 0, amplitude / np.maximum(frequency, 1e-6) ** power, mean * pixels) * pixels
    return planes.astype(np.float32)


def pyramid(size: Size, recipe: Recipe, channels: int) -> Parametrization:
    """Decorrelated colour planes as a sum of resolutions, from one pixel on, through a sigmoid.

    Each resolution is twice the one before and is enlarged linearly, so a step moves every scale at once.
    """
    sizes = [size]
    while max(sizes[-1]) > 1:
        sizes.append(tuple(max(1, -(-side // 2)) for side in sizes[-1]))
    colors = colors_of(channels)
    places = np.cumsum([0, *(height * width for height, width in sizes)])

    def image(params):
        parts = [params[a:b].reshape(*part, channels) for a, b, part in zip(places, places[1:], sizes, strict=False)]
        return _shown(sum(jax.image.resize(part, (*size, channels), "linear") for part in parts), colors)

    def params(image):
        return jnp.zeros((places[-1], channels)).at[: places[1]].set(_planes(image).reshape(-1, channels))

    init = lambda key: jax.random.normal(key, (places[-1], channels), jnp.float32) * 0.01
    return Parametrization(init, params, image, lambda params: params)


def coefficients(image: Float[Array, "h w color"]) -> Complex[Array, "h half color"]:
    """The Fourier coefficients of an image's decorrelated colour planes, before the sigmoid."""
    return jnp.fft.rfft2(_planes(image), axes=(0, 1))


def _planes(image: jax.Array) -> jax.Array:
    inside = jnp.clip(image, EDGE, 1 - EDGE)
    return (jnp.log(inside) - jnp.log1p(-inside)) @ np.linalg.inv(colors_of(image.shape[-1]).T)


def colors_of(channels: int) -> Float[np.ndarray, "color plane"]:
    """What a unit of each decorrelated plane adds to the channels, before the sigmoid.

    The first three of three or more channels are red, green and blue, decorrelated as `COLORS` says. Of others nothing
    is known: each is a plane by itself, as strong as brightness is in one of the three.
    """
    if channels == 3:
        return COLORS
    found = np.eye(channels, dtype=np.float32) / np.float32(np.sqrt(3))
    if channels > 3:
        found[:3, :3] = COLORS
    return found


def _shown(planes: jax.Array, colors: np.ndarray) -> jax.Array:
    return jax.nn.sigmoid(planes @ colors.T)


def _frequency(size: Size) -> np.ndarray:
    """Cycles per pixel of each coefficient, [h, w // 2 + 1]."""
    return np.hypot(np.fft.fftfreq(size[0])[:, None], np.fft.rfftfreq(size[1])[None, :])


PARAMETRIZATIONS: dict[str, Callable[[Size, Recipe, int], Parametrization]] = {
    "pixels": pixels,
    "fourier": fourier,
    "pyramid": pyramid,
    "maco": maco,
}


def parametrization(size: Size, recipe: Recipe, channels: int = 3) -> Parametrization:
    """The recipe's parametrization for pictures of `size` (height, width) with so many channels."""
    return PARAMETRIZATIONS[recipe.parametrization](size, recipe, channels)
