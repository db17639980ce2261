"""Noise: Gaussian, shot and impulse noise of ImageNet-C.

Every corruption is a function of (image float64 [h, w, 3] in [0, 1], the random numbers of the image and kind, then the
constants of a severity) to an image that may leave [0, 1].
"""

import numpy as np
from jaxtyping import Float

Image = Float[np.ndarray, "h w 3"]


def gaussian_noise(image: Image, rng: np.random.Generator, scale: float) -> Image:
    """Adds normal noise with the standard deviation `scale`, as in low light."""
    return image + rng.normal(scale=scale, size=image.shape)


def shot_noise(image: Image, rng: np.random.Generator, photons: float) -> Image:
    """Counts light in single photons, of which white has `photons` on average."""
    return rng.poisson(image * photons) / photons


def impulse_noise(image: Image, rng: np.random.Generator, amount: float) -> Image:
    """Makes a share of all values 0 or 1, each channel by itself: salt and pepper in colour, as bits go wrong."""
    gone, salt = rng.random(image.shape) <= amount, rng.random(image.shape) <= 0.5
    return np.where(gone, salt, image)
