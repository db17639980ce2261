"""Dictionaries of overcomplete (Kempner Institute): state dicts, since it writes no files of its own.

z = act(x W^T + b), and x is z D without a bias; rows of D have length e^multiplier. Of relaxed archetypal ones D is
(W C + Lambda) e^multiplier. A state dict does not say which activation it had, nor k: relu unless told.
"""

import numpy as np

from vitjax.errors import InputError
from vitjax.weights.dictionaries.held import Held, Parts

MARKS = ({"dictionary._weights"}, {"dictionary.C", "dictionary.W", "dictionary.Relax"})
ENCODERS = ("encoder.final_block.0.", "encoder.")
TINY = 1e-8  # overcomplete's
DELTA = 1.0  # its longest relaxation, where the code that trained it says no other


def known(held: Held) -> bool:
    """Whether the file is overcomplete's."""
    return any(mark <= held.names for mark in MARKS)


def read(held: Held) -> Parts:
    """Reads it."""
    start = next((one for one in ENCODERS if f"{one}weight" in held.names), None)
    held_by = {name for name in held.names if name.startswith("encoder.")}
    if start is None or held_by - {f"{start}weight", f"{start}bias", "encoder.thresholds"}:
        raise InputError(f"{held.path} has an encoder of several layers or none: one linear layer is read")
    arrays = {"encoder": held[f"{start}weight"].T, "decoder": _decoder(held)}
    if f"{start}bias" in held.names:
        arrays["encoder_bias"] = held[f"{start}bias"]
    form = {}
    if "thresholds" in held.names:
        arrays["threshold"] = np.exp(held["thresholds"])
        form = {"activation": "threshold", "strict": False}
    return Parts(form, arrays)


def _decoder(held: Held) -> np.ndarray:
    length = np.exp(held.number("dictionary.multiplier", 0.0))
    if "dictionary._weights" in held.names:
        rows = held["dictionary._weights"]
        return rows / (np.linalg.norm(rows, axis=1, keepdims=True) + TINY) * length
    weights, points, relaxed = held.some("dictionary.W", "dictionary.C", "dictionary.Relax")
    weights = np.maximum(weights, 0)
    weights /= weights.sum(axis=1, keepdims=True) + TINY
    far = np.linalg.norm(relaxed, axis=1, keepdims=True)
    return (weights @ points + relaxed * np.minimum(DELTA / np.maximum(far, TINY), 1)) * length
