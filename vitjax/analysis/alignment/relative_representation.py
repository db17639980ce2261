"""Compares layers by where images lie relative to the same few of them (Moschella et al. 2023, arXiv 2209.15430).

r(x) = (cos(x, a_1), …, cos(x, a_k)) of anchors a: what is left of a representation when rotations and lengths are
forgotten, so that those of two models have the same axes.
"""

import numpy as np
from jaxtyping import Float, Int


def relative(
    features: Float[np.ndarray, "image feature"], anchors: Int[np.ndarray, " k"]
) -> Float[np.ndarray, "image k"]:
    """The cosines of all images with the anchors, which are rows of the features; 0 of an image without features."""
    wide = np.asarray(features, np.float64)
    toward = wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), 1e-300)
    return toward @ toward[anchors].T


def agreement(ours: Float[np.ndarray, "image k"], theirs: Float[np.ndarray, "image k"]) -> tuple[float, float]:
    """How alike the relative representations of the same images are.

    Returns:
        (the mean correlation of an image's two, over the anchors; the share of images for which no other image's in the
        other model is correlated more: by chance it is 1 over their number).
    """
    cosines = _standard(ours) @ _standard(theirs).T
    own = np.diag(cosines)
    return float(own.mean()), float((cosines <= own[:, None] + 1e-12).all(axis=1).mean())


def _standard(some: np.ndarray) -> np.ndarray:
    """Centred over the images, then each image's over the anchors, at length 1: what all images share says nothing."""
    centred = some - some.mean(axis=0)
    centred = centred - centred.mean(axis=1, keepdims=True)
    return centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-300)
