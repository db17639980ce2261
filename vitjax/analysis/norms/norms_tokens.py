"""Measures patch tokens of huge norm after every block: which they are, what they show and who attends to them."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from vitjax.analysis.photographs.outliers import norm_ratios
from vitjax.analysis.study.blocks import after_blocks, beside
from vitjax.analysis.views.filters import cut
from vitjax.models.core.network import Network


class Standing(NamedTuple):
    """The outliers of images after each block; NaN where an image has none.

    Attributes:
        outlier: which patch tokens they are.
        ratio: the norm of every patch token over the median of its image.
        class_ratio: the same of the first token before the patches; NaN in models without one.
        class_attention, patch_attention: the share of their attention, over all heads, that the class token and the
            patch tokens give to the outliers in the next block; NaN after the last, and for no class token.
        contrast, likeness: where the outliers' patches stand among those of their image, 0 the lowest to 1 the highest,
            by the standard deviation of their pixels, and by how like their neighbours they are (`likeness`).
        stay: the share of them that are outliers after the next block, too.
    """

    outlier: Bool[Array, "image layer patch"]
    ratio: Float[Array, "image layer patch"]
    class_ratio: Float[Array, "image layer"]
    class_attention: Float[Array, "image layer"]
    patch_attention: Float[Array, "image layer"]
    contrast: Float[Array, "image layer"]
    likeness: Float[Array, "image layer"]
    stay: Float[Array, "image layer"]


def standing(model: Network, images: Float[Array, "image h w 3"], *, times: float) -> Standing:
    """Reads every block once; an outlier has more than `times` the median norm of its image's patches."""
    after = after_blocks(model)
    probs, site = [beside(tap, "attn.probs") for tap in after[1:]], model.taps()[after[0]]
    values = model(images, [*after, *probs])
    tokens = jnp.stack([values[tap].astype(jnp.float32) for tap in after], axis=1)
    ratio = norm_ratios(tokens[:, :, site.prefix :])
    outlier = ratio > times
    nothing = jnp.full(outlier.shape[:2], jnp.nan)
    first = jnp.linalg.norm(tokens[:, :, 0], axis=-1)
    middle = jnp.median(jnp.linalg.norm(tokens[:, :, site.prefix :], axis=-1), axis=-1)
    given = [attention_to(values[tap], outlier[:, i], site.prefix) for i, tap in enumerate(probs)]
    by_class, by_patches = (
        jnp.concatenate([*(pair[which][:, None] for pair in given), nothing[:, :1]], axis=1) for which in (0, 1)
    )
    pieces = cut(model, images)
    return Standing(
        outlier,
        ratio,
        first / middle if site.prefix else nothing,
        by_class if site.class_token else nothing,
        by_patches,
        _among(ranks(pieces.std(axis=(2, 3, 4))), outlier),
        _among(ranks(likeness(model, pieces)), outlier),
        jnp.concatenate([_share(outlier[:, :-1] & outlier[:, 1:], outlier[:, :-1]), nothing[:, :1]], axis=1),
    )


def attention_to(
    probs: Float[Array, "image head query key"], patches: Bool[Array, "image patch"], prefix: int
) -> tuple[Float[Array, " image"], Float[Array, " image"]]:
    """The attention that goes to some patches, averaged over heads: of the first token, and the mean of the patches."""
    there = jnp.pad(patches, ((0, 0), (prefix, 0)))
    given = jnp.einsum("ihqk,ik->iq", probs, there.astype(probs.dtype)) / probs.shape[1]
    return given[:, 0], given[:, prefix:].mean(axis=1)


def likeness(model: Network, pieces: Float[Array, "image patch h w 3"]) -> Float[Array, "image patch"]:
    """Measures how like its neighbours a patch is, by the mean cosine with those beside, above and below.

    The cosines are those of the patch embedding, without positions (Darcet et al. 2023, section 2.1).
    """
    rows, columns = model.config.grid
    embedded = model.patch(pieces.reshape(*pieces.shape[:2], -1)).astype(jnp.float32)
    unit = embedded / jnp.maximum(jnp.linalg.norm(embedded, axis=-1, keepdims=True), 1e-12)
    unit = jnp.pad(unit.reshape(len(unit), rows, columns, -1), ((0, 0), (1, 1), (1, 1), (0, 0)))
    there = jnp.pad(jnp.ones((rows, columns)), 1)
    total = count = 0
    for down, right in ((0, 1), (2, 1), (1, 0), (1, 2)):
        beside = (slice(down, down + rows), slice(right, right + columns))
        total += (unit[:, 1:-1, 1:-1] * unit[:, *beside]).sum(axis=-1)
        count += there[beside]
    return (total / jnp.maximum(count, 1)).reshape(len(unit), -1)


def ranks(values: Float[Array, "image patch"]) -> Float[Array, "image patch"]:
    """The share of an image's other patches that have less, equal ones counted half; 0.5 on average."""
    less = (values[:, None] < values[..., None]).sum(axis=-1)
    same = (values[:, None] == values[..., None]).sum(axis=-1) - 1
    return (less + same / 2) / (values.shape[1] - 1)


def _among(values: Array, outlier: Array) -> Array:
    """The mean of [image, patch] over the outliers of each layer."""
    return _share(jnp.where(outlier, values[:, None], 0), outlier)


def _share(part: Array, whole: Array) -> Array:
    count = whole.sum(axis=-1)
    return jnp.where(count > 0, part.sum(axis=-1) / jnp.maximum(count, 1), jnp.nan)
