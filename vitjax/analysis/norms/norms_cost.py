"""Measures what a classifier loses when tokens of huge norm are removed or replaced.

Beside them stand as many ordinary patch tokens, drawn at random, that are treated in the same way: any loss of tokens
costs something.
"""

from collections.abc import Sequence
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Int

from vitjax.analysis.ablations.positions import permutations
from vitjax.analysis.perturbed.occlusion import unseen
from vitjax.analysis.photographs.outliers import outliers
from vitjax.analysis.study.blocks import after_blocks
from vitjax.analysis.study.findings import Value
from vitjax.analysis.study.means import estimate
from vitjax.analysis.study.passes import gather
from vitjax.data.dataset import Dataset
from vitjax.models.core.config import ViTConfig
from vitjax.models.core.network import Network
from vitjax.models.core.taps import Edit

OUTLIERS, OTHERS = "outliers", "as many others"
REMOVED = "removed"  # no token attends to them in the blocks after
REPLACED = ("zero", "mean of the others", "median norm")  # after every block after which they stand out


def treatments(config: ViTConfig) -> tuple[str, ...]:
    """What can be done to the tokens of such a model: a head that attends to tokens itself cannot overlook some."""
    return (*([REMOVED] if config.pool != "attention" else []), *REPLACED)


def costs(
    model: Network, data: Dataset, labels: Int[np.ndarray, " image"] | None, *, times: float, seed: int
) -> list[dict[str, Value]]:
    """Measures the cost of each treatment of the outliers, and of as many other patch tokens: a row for each.

    Args:
        model: with a head.
        data: the images.
        labels: their classes; None where they are not known.
        times: how many times the median norm an outlier exceeds.
        seed: of the draw of other tokens.

    Returns:
        `same` is the share of images whose best class stays, `top1` the accuracy and `change` that less the accuracy as
        they are, image by image (None without classes); `new` the outliers after the last block on other places than
        before. All with standard errors over images.
    """
    places, (chosen, new) = gather(model, data.batches(), _chosen, times=times, seed=seed)
    settings = [("none", "none"), *product((OUTLIERS, OTHERS), treatments(model.config))]
    truth = None if labels is None else labels[places][:, None]
    right = np.full(chosen.shape, np.nan) if truth is None else (chosen == truth).astype(float)
    rows = []
    for at, (tokens, treatment) in enumerate(settings):
        row = {"tokens": tokens, "treatment": treatment, "images": len(places)}
        row |= estimate("same", chosen[:, at] == chosen[:, 0]) | estimate("top1", right[:, at])
        rows.append(row | estimate("change", right[:, at] - right[:, 0]) | estimate("new", new[:, at]))
    return rows


def _chosen(model: Network, images: Array, *, times: float, seed: int) -> tuple[Array, Array]:
    """The best class under every setting, and the number of new outliers, [image, setting] each."""
    config, taps = model.config, after_blocks(model)
    prefix = model.taps()[taps[-1]].prefix
    whole = model(images, [*taps, "logits"])
    found = jnp.stack([outliers(whole[tap][:, prefix:], times) for tap in taps])  # [layer, image, patch]
    order = permutations(images, seed, config.patches)
    sets = jnp.stack([found, jax.vmap(lambda some: as_many_others(some, order))(found)])

    def run(edits: dict[str, Edit]) -> tuple[Array, Array]:
        values = model(images, [taps[-1], "logits"], edits)
        new = outliers(values[taps[-1]][:, prefix:], times) & ~found[-1]
        return values["logits"].argmax(axis=-1), new.sum(axis=-1)

    removed = lambda tiles: run(unseen([jnp.zeros_like(tiles[0]), *tiles], model))
    parts = [jax.tree.map(lambda x: x[None, None], (whole["logits"].argmax(axis=-1), jnp.zeros(len(images), int)))]
    replaced = lambda tiles: lax.map(lambda how: run(replacing(tiles, how, model)), jnp.eye(len(REPLACED)))
    both = [] if config.pool == "attention" else [jax.tree.map(lambda x: x[:, None], lax.map(removed, sets))]
    both = jax.tree.map(lambda *some: jnp.concatenate(some, axis=1), *both, lax.map(replaced, sets))
    parts.append(jax.tree.map(lambda x: x.reshape(1, -1, len(images)), both))
    return jax.tree.map(lambda *some: jnp.concatenate(some, axis=1)[0].T, *parts)


def replacing(tiles: Sequence[Bool[Array, "image patch"]], how: Array, model: Network) -> dict[str, Edit]:
    """Makes edits that put something else in the place of patch tokens.

    Args:
        tiles: which, after each block.
        how: the weights of what stands in their place, in the order of `REPLACED`: nothing, the mean of the image's
            other patch tokens, or the token itself, as long as the median of them all.
        model: whose.
    """
    taps = after_blocks(model)
    prefix = model.taps()[taps[-1]].prefix

    def edit(gone: Array):
        def replace(tokens: Array) -> Array:
            patches, gone_here = tokens[:, prefix:], gone[..., None]
            kept = jnp.where(gone_here, 0, patches).sum(axis=1) / jnp.maximum((~gone_here).sum(axis=1), 1)
            norms = jnp.linalg.norm(patches, axis=-1, keepdims=True)
            scaled = patches * jnp.median(norms, axis=1, keepdims=True) / jnp.maximum(norms, 1e-12)
            instead = (how[1] * kept[:, None] + how[2] * scaled).astype(tokens.dtype)
            return jnp.concatenate([tokens[:, :prefix], jnp.where(gone_here, instead, patches)], axis=1)

        return replace

    return {tap: edit(gone) for tap, gone in zip(taps, tiles, strict=True)}


def as_many_others(some: Bool[Array, "image patch"], order: Int[Array, "image patch"]) -> Bool[Array, "image patch"]:
    """As many patches as there are of some, none of them among these: the first in each image's order."""
    free = jnp.take_along_axis(~some, order, axis=1)
    taken = free & (jnp.cumsum(free, axis=1) <= some.sum(axis=1, keepdims=True))
    return jnp.take_along_axis(taken, jnp.argsort(order, axis=1), axis=1)
