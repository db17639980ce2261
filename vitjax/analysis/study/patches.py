"""The value of a tap in, what each of its units does at each patch out, and how unevenly.

The maps of a convolutional network, of whatever size, are averaged over the patches of its config's grid, so that they
lie beside those of a Vision Transformer; their mean over all places stays what it was.
"""

from collections.abc import Iterable

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from vitjax.errors import InputError
from vitjax.models.core.network import Network
from vitjax.models.core.vocabulary import MAP, PLACES, axes
from vitjax.models.registry import Config
from vitjax.optimize.objectives import at_tokens
from vitjax.units.units import matching


def at_patches(values: Array, tap: str, config: Config) -> Float[Array, "image patch unit"]:
    """A tap's value at the patch tokens, row by row, with heads and channels as one axis of units.

    Args:
        values: [image, token, *axes] or [image, row, column, channel], as the model gives it.
        tap: its name.
        config: the model's, which says how many tokens stand before the patches.

    Raises:
        InputError: a tap without tokens, such as `blocks.3.attn.probs`, `pooled` or `logits`.
    """
    check_patches(tap)
    return at_tokens(on_grid(values, tap, config), tap, "patches", config)


def on_grid(values: Array, tap: str, config: Config) -> Array:
    """A map averaged over the patches of the config's grid, [image, row, column, channel]; other values as they are."""
    if axes(tap) != MAP:
        return values
    down, across = (shares(of, to) for of, to in zip(values.shape[1:3], config.grid, strict=True))
    return jnp.einsum("irsu,pr,qs->ipqu", values.astype(jnp.float32), down, across, precision="highest")


def shares(places: int, patches: int) -> Float[np.ndarray, "patch place"]:
    """How much of each patch each place is, where both divide one side of an image evenly."""
    of, to = np.linspace(0, 1, places + 1), np.linspace(0, 1, patches + 1)[:, None]
    both = np.minimum(of[1:], to[1:]) - np.maximum(of[:-1], to[:-1])
    return (np.maximum(both, 0) * patches).astype(np.float32)


def check_patches(tap: str) -> None:
    """Raises an InputError if a tap's units are nowhere on the image."""
    if not PLACES & set(axes(tap)):
        raise InputError(f"{tap} has no patches (its axes are {', '.join(axes(tap))}); try mlp.hidden or attn.z")


def chosen_taps(patterns: Iterable[str] | None, model: Network) -> list[str]:
    """The taps meant, each once; `*` stands for every block, and by default it is all neurons.

    Raises:
        InputError: a tap that the model lacks, or that has no patches.
    """
    wanted, taps = [model.neurons] if patterns is None else patterns, model.taps()
    chosen = list(dict.fromkeys(tap for pattern in wanted for tap in matching(pattern, taps)))
    for tap in chosen:
        check_patches(tap)
    return chosen


def unevenness(values: Float[Array, "*n patch"], axis: int = -1) -> Float[Array, "*n"]:
    """The standard deviation over the patches divided by the mean; 0 for a map that is the same everywhere.

    NaN where the mean is not above 0: such a map fires nowhere.
    """
    values = jnp.asarray(values)
    mean = values.mean(axis=axis)
    return jnp.where(mean > 0, values.std(axis=axis) / mean, jnp.nan)


def above_half(values: Float[Array, "*n patch"], axis: int = -1) -> Float[Array, "*n"]:
    """The share of patches above half the highest; 0 where none is above 0."""
    return (values > values.max(axis=axis, keepdims=True) / 2).mean(axis=axis)
