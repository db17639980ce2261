"""The value of a tap in, what each of its units does at each patch out, and how unevenly."""

from collections.abc import Iterable, Mapping

import jax.numpy as jnp
from jaxtyping import Array, Float

from vitjax.errors import InputError
from vitjax.models.config import ViTConfig
from vitjax.models.vocabulary import axes
from vitjax.optimize.objectives import at_tokens
from vitjax.optimize.units import matching


def at_patches(values: Array, tap: str, config: ViTConfig) -> Float[Array, "image patch unit"]:
    """A tap's value at the patch tokens, row by row, with heads and channels as one axis of units.

    Args:
        values: [image, token, *axes], as the model gives it.
        tap: its name.
        config: the model's, which says how many tokens stand before the patches.

    Raises:
        InputError: a tap without tokens, such as `blocks.3.attn.probs`, `pooled` or `logits`.
    """
    check_patches(tap)
    return at_tokens(values, tap, "patches", config)


def check_patches(tap: str) -> None:
    """Raises an InputError if a tap has no token axis, so that its units are nowhere on the image."""
    if axes(tap)[0] != "token":
        raise InputError(f"{tap} has no patches (its axes are {', '.join(axes(tap))}); try mlp.hidden or attn.z")


def chosen_taps(patterns: Iterable[str] | None, taps: Mapping[str, tuple[int, ...]]) -> list[str]:
    """The taps meant, each once; `*` stands for every block, and by default it is all neurons.

    Raises:
        InputError: a tap that the model lacks, or that has no patches.
    """
    wanted = ["blocks.*.mlp.hidden"] if patterns is None else patterns
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
