"""Computes the views of units of the residual stream: what each is said to see of an image.

Nguyen et al. 2022 (arXiv 2210.07646): the view of a unit of the patch embedding at a patch is filter times patch; later
blocks are taken to mix the views of tokens as their attention mixes tokens. What they do to values, the MLPs and the
LayerNorms are left out, so that unit j of any block has the filter j of the patch embedding.
"""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

from vitjax.analysis.study.blocks import after_blocks, stream
from vitjax.analysis.views.filters import assembled, check_units, cut, filters
from vitjax.analysis.views.rollout import RESIDUAL, attention, check_layers, mixing, rollout
from vitjax.errors import InputError
from vitjax.models.core.config import ViTConfig
from vitjax.models.core.images import checked
from vitjax.models.core.network import Network
from vitjax.models.core.surroundings import promoting
from vitjax.units.select import token_span

SHARPENED = 2.5  # the contrast that fits the paper's figures of object patches and of occlusion


def views(
    model: Network,
    images: Float[Array, "image h w 3"],
    *,
    layers: Sequence[int] = (0,),
    tokens: Sequence[str] = ("patches",),
    units: Sequence[int] | None = None,
    heads: str | int = "mean",
    residual: float = RESIDUAL,
    normalise: bool | None = None,
) -> Float[Array, "image layer tokens unit h w 3"]:
    """Computes the views of units after some layers at some tokens, in one compiled call, for `shown` to show.

    In closed form: at patch k the view of unit j at token i is J[i, k] f_j * x^k, where J is the attention's rollout;
    before the first block J is the identity. Tokens before the patches have no view there.

    Args:
        model: any.
        images: in [0, 1], of the model's size.
        layers: blocks gone through, 0 to depth. (The paper's "layer l" is taken to be l + 1 here, and its "layer 0" 0.)
        tokens: "class", "patch N", or "patches" and "all" for means over tokens; "patches" before the first block is
            the global view of a filter over the number of patches.
        units: channels of the residual stream; default all.
        heads: "mean" over heads, "own" for the head that a unit's channel belongs to, or a head's number.
        residual: the weight of the token itself in what a block does to it.
        normalise: scale each patch's local view by its highest value, so that dim patches count as much as bright ones;
            where that is not above 0 the patch is left out. Default, as measured in the paper's figures: only after
            the first block.

    Under a `jax.jit` that ends in `shown` the views are never held as floats, which saves three quarters of the memory.

    Raises:
        InputError: layers, units, tokens or heads that the model does not have, or images of another size.
    """
    config = model.config
    return _views(
        model,
        jnp.asarray(checked(images, config.image_size, config.channels)),
        layers=check_layers(layers, len(after_blocks(model)), first=0),
        tokens=tuple(tokens),
        units=check_units(config, units),
        heads=check_heads(heads, config),
        residual=residual,
        normalise=normalise,
    )


def shown(views: Float[Array, "*n h w 3"], gamma: float = 1.0) -> UInt8[Array, "*n h w 3"]:
    """Views as pictures: from black, for 0 and below, to the highest value of all pixels and colours.

    Args:
        views: or filters, each shown for itself.
        gamma: contrast; 1 shows values as they are, `SHARPENED` only what is near the highest.
    """
    highest = views.max(axis=(-3, -2, -1), keepdims=True)
    share = jnp.clip(views / jnp.where(highest > 0, highest, 1), 0, 1)
    return jnp.round(255 * share**gamma).astype(jnp.uint8)


def reach(
    model: Network,
    images: Float[Array, "image h w 3"],
    layers: Sequence[int],
    tokens: Sequence[str],
    heads: str | int,
    residual: float,
) -> Float[Array, "image layer tokens head patch"]:
    """Computes how much of each patch is in each token's view: rows of the rollout; one head where they are averaged.

    Arguments as of `views`.
    """
    site = stream(model)
    identity = jnp.eye(site.tokens)
    count = model.config.heads if heads == "own" else 1
    rolled = jnp.broadcast_to(identity, (1, len(images), count, *identity.shape))
    if last := max(layers):
        probs = attention(model, images, last)
        kept = {"own": probs, "mean": probs.mean(axis=2, keepdims=True)}
        probs = kept[heads] if heads in kept else probs[:, :, heads : heads + 1]
        rolled = jnp.concatenate([rolled, rollout(mixing(probs, residual))])
    rows = [rolled[..., token_span(one, site), site.prefix :].mean(axis=-2) for one in tokens]
    return jnp.moveaxis(jnp.stack(rows, axis=2)[jnp.array(layers)], 1, 0)


def check_heads(heads: str | int, config: ViTConfig) -> str | int:
    """Heads as `views` takes them, a number as a number; an InputError for what is none."""
    if heads in ("mean", "own"):
        return heads
    if not str(heads).isdigit() or int(heads) >= config.heads:
        raise InputError(f"heads={heads!r}: write mean, own, or a head's number, 0-{config.heads - 1}")
    return int(heads)


@promoting()
@partial(jax.jit, static_argnames=("layers", "tokens", "units", "heads", "residual", "normalise"))
def _views(model, images, *, layers, tokens, units, heads, residual, normalise):
    rows = reach(model, images, layers, tokens, heads, residual)
    if heads == "own":
        rows = rows[..., np.array(units) // model.config.head_width, :]
    local = cut(model, images)[:, None] * filters(model)[jnp.array(units), None]  # image unit patch h w 3
    highest = local.max(axis=(-3, -2, -1))
    even = jnp.where(highest > 0, 1 / jnp.where(highest > 0, highest, 1), 0)[:, None, None]
    scaled = np.array([layer > 0 if normalise is None else normalise for layer in layers])
    weights = rows * jnp.where(scaled[:, None, None, None], even, 1)
    return assembled(model.config, weights[..., None, None, None] * local[:, None, None])
