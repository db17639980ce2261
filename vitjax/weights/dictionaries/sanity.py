"""Asks of dictionaries how much they explain of a model's activations, as a check that they are this model's."""

import jax
import numpy as np
from jaxtyping import Float

from vitjax.errors import remark
from vitjax.models.core.network import Network
from vitjax.models.dictionaries.dictionary import Dictionary

IMAGES = 32
LEAST = 0.5  # of the variance: less is explained by a dictionary of something else
CAUSES = (
    "is it of another model, or of a block before or after this one? was it trained on activations that were normalised"
    " or scaled (norm), or without pre_bias? is it for other tokens (tokens)?"
)


def explained(model: Network, images: Float[np.ndarray, "image height width color"]) -> dict[str, tuple[float, float]]:
    """Says of each of a model's dictionaries, by its tap, which share of the variance it explains, and its mean L0.

    The share is 1 - sum |x - x^|^2 / sum |x - mean x|^2 over the tokens that it is for, L0 how many latents a token has
    that are not 0.
    """
    found, sites = {}, model.taps()
    asked = [one for one in model.dictionaries if isinstance(one, Dictionary)]  # directions explain nothing
    if not asked:
        return found
    values = jax.jit(lambda model, images: model(images, [one.form.tap for one in asked]))(model, images)
    for one in asked:
        tap, site = one.form.tap, sites[one.form.tap]
        x = values[tap]
        if "token" in site.axes:
            x = {"all": x, "patches": x[:, site.prefix :], "class": x[:, :1]}[one.form.tokens]
        x = x.reshape(-1, x.shape[-1])
        latents = one.activate(one.encode(x))
        again, x = (np.asarray(value, np.float64) for value in (one.decode(latents, x), x))
        share = 1 - ((x - again) ** 2).sum() / ((x - x.mean(0)) ** 2).sum()
        found[one.taps[1]] = float(share), float((np.asarray(latents) != 0).sum(1).mean())
    return found


def check(model: Network, images: Float[np.ndarray, "image height width color"]) -> None:
    """Tells the user of each dictionary what it explains, with likely causes where that is less than half."""
    for tap, (share, active) in explained(model, images).items():
        says = f"{tap} explains {share:.3f} of the variance on {len(images)} images with {active:.1f} latents a token"
        remark(says if share >= LEAST else f"{says}: {CAUSES}")
