"""Patch tokens whose norm is far beyond that of the others, in an image's residual stream: which they are.

Darcet et al. 2023 (arXiv 2309.16588) find them in large, long-trained ViTs, on patches of little content, and take
their place by registers. They draw the line by hand, in a histogram of norms with two humps (150 for DINOv2-g); here it
is a multiple of the median, so that one number serves every model and block.
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from vitjax.errors import InputError

# Times the median norm. ViT-Ti/16 (augreg) has tokens up to 3.6 times the median in its first seven blocks, where none
# stands apart, and from the eighth on 98 in 100 of those beyond 3 are beyond 8: any line between cuts alike.
OUTLIER = 5.0


def norm_ratios(patches: Float[Array, "*n patch channel"]) -> Float[Array, "*n patch"]:
    """The norm of each patch token over the median norm of the patches of its image; 0 where that median is 0."""
    norms = jnp.linalg.norm(jnp.asarray(patches, jnp.float32), axis=-1)
    middle = jnp.median(norms, axis=-1, keepdims=True)
    return jnp.where(middle > 0, norms / jnp.where(middle > 0, middle, 1), 0)


def outliers(patches: Float[Array, "*n patch channel"], times: float = OUTLIER) -> Bool[Array, "*n patch"]:
    """The patch tokens with more than `times` the median norm of the patches of their image."""
    return norm_ratios(patches) > times


def check_times(times: float) -> None:
    """Raises an InputError for a multiple of the median that ordinary tokens reach, or that is no number."""
    if not 1 < times < float("inf"):
        raise InputError(f"times is {times:g}: an outlier has more than once the median norm, e.g. {OUTLIER:g} times")
