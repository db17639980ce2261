"""Adds random directions to a model as taps of their own: what units are to be better than.

They are the latents, before any activation function, of a dictionary whose encoder is random and orthonormal, so
exemplars, crops and scores work on them as on units, and the tap's own values stay as they are.
"""

import zlib
from collections.abc import Mapping

import numpy as np

from vitjax.models.core.network import Network
from vitjax.models.dictionaries.dictionary import Dictionary
from vitjax.models.dictionaries.form import Form

NAME = "random"


def with_random_directions(model: Network, count: Mapping[str, int], seed: int = 0) -> tuple[Network, dict[str, str]]:
    """Adds directions to taps of channels; other taps, such as those of heads, get none.

    Args:
        model: any.
        count: {tap: how many}; no more than it has channels.
        seed: of the draw.

    Returns:
        The model, and {tap: the tap of its random directions}.
    """
    sites = model.taps()
    fit = [tap for tap in count if len(sites[tap].units) == 1 and sites[tap].axes[-1] == "channel"]
    dictionaries = [_dictionary(tap, sites[tap].shape[-1], count[tap], seed) for tap in fit]
    taps = dict(zip(fit, (one.taps[0] for one in dictionaries), strict=True))
    return (model.with_dictionary(*dictionaries) if dictionaries else model), taps


def _dictionary(tap: str, channels: int, count: int, seed: int) -> Dictionary:
    rng = np.random.default_rng([zlib.crc32(tap.encode()), seed])
    directions = np.linalg.qr(rng.standard_normal((channels, min(count, channels))))[0].astype(np.float32)
    return Dictionary(Form(tap, NAME), {"encoder": directions, "decoder": np.zeros_like(directions.T)})
