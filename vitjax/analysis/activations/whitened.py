"""Whitens directions of a tap's value, so that what all its activations share says least (Carter et al. 2019)."""

import numpy as np
from jaxtyping import Float

RIDGE = 0.01  # of the mean variance, added to all: the moments of residual streams are nearly singular


def ridged(moment: Float[np.ndarray, "channel channel"], ridge: float = RIDGE) -> Float[np.ndarray, "channel channel"]:
    """The second moment E[h h^T], with `ridge` times the mean of its diagonal added to that; float64."""
    moment = np.asarray(moment, np.float64)
    return moment + ridge * np.trace(moment) / len(moment) * np.eye(len(moment))


def whitening(
    moment: Float[np.ndarray, "channel channel"], ridge: float = RIDGE
) -> Float[np.ndarray, "channel channel"]:
    """The matrix S of v' = v S: the inverse of the uncentred second moment with its ridge, float64, symmetric."""
    values, vectors = np.linalg.eigh(ridged(moment, ridge))
    return (vectors / values) @ vectors.T
