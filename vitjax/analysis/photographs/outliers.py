"""Finds the patch tokens of huge norm: those far beyond the median norm of their image's residual stream.

Darcet et al. 2023 (arXiv 2309.16588) find them in large, long-trained ViTs, on patches of little content, and take
their place by registers. They draw the line by hand, in a histogram of norms with two humps (150 for DINOv2-g); here it
is a multiple of the median, so that one number serves every model and block.
"""

from collections.abc import Iterable, Mapping

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from vitjax.analysis.study.blocks import last_stage
from vitjax.errors import InputError
from vitjax.models.core.network import Network
from vitjax.models.core.tap_site import Site
from vitjax.models.core.vocabulary import split_tap

# Times the median norm. ViT-Ti/16 (augreg) has tokens up to 3.6 times the median in its first seven blocks, where none
# stands apart, and from the eighth on 98 in 100 of those beyond 3 are beyond 8: any line between cuts alike.
OUTLIER = 5.0


def norm_ratios(tokens: Float[Array, "*n token channel"], prefix: int = 0) -> Float[Array, "*n token"]:
    """The norm of each token over the median norm of the patches of its image; 0 where that median is 0.

    Args:
        tokens: of residual streams.
        prefix: how many of them stand before the patches.
    """
    norms = jnp.linalg.norm(jnp.asarray(tokens, jnp.float32), axis=-1)
    middle = jnp.median(norms[..., prefix:], axis=-1, keepdims=True)
    return jnp.where(middle > 0, norms / jnp.where(middle > 0, middle, 1), 0)


def outliers(patches: Float[Array, "*n patch channel"], times: float = OUTLIER) -> Bool[Array, "*n patch"]:
    """The patch tokens with more than `times` the median norm of the patches of their image."""
    return norm_ratios(patches) > times


def check_times(times: float) -> None:
    """Raises an InputError for a multiple of the median that ordinary tokens reach, or that is no number."""
    if not 1 < times < float("inf"):
        raise InputError(f"times is {times:g}: an outlier has more than once the median norm, e.g. {OUTLIER:g} times")


def stream(tap: str, sites: Mapping[str, Site]) -> str | None:
    """The tap of the residual stream that a tap's units read, through a norm, or are of; None where there is none.

    Attention reads `resid_pre` of its block, the MLP `resid_mid`. Both are computed on the way to the tap.

    Args:
        tap: any.
        sites: of the model's taps.
    """
    _, block, name = split_tap(tap)
    part = name.partition(".")[0]
    if name == "norm" or not sites[tap].places or (block is None and part in ("pool", *_READ)):
        return None
    found = f"{tap.removesuffix(name)}{_READ[part]}" if part in _READ else tap
    return found if found in sites and sites[found].axes == ("token", "channel") else None


_READ = {"attn": "resid_pre", "mlp": "resid_mid"}


def streams_of(taps: Iterable[str], sites: Mapping[str, Site]) -> tuple[str, ...]:
    """The streams of some taps, each once."""
    return tuple(dict.fromkeys(filter(None, (stream(tap, sites) for tap in taps))))


def stream_ratios(values: Mapping[str, Array], taps: Iterable[str], sites: Mapping[str, Site]) -> dict[str, Array]:
    """{tap: `norm_ratios` of its stream, [image, token]}, of the taps that have one; `values` holds the streams."""
    found = {one: norm_ratios(values[one], sites[one].prefix) for one in streams_of(taps, sites)}
    return {tap: found[one] for tap in taps if (one := stream(tap, sites))}


def outliers_by_layer(model: Network, images: Float[Array, "image h w 3"]) -> Bool[Array, "image layer patch"]:
    """The patch tokens of huge norm after each block of the last stage, all blocks of a plain ViT."""
    taps, sites = last_stage(model), model.taps()
    values = model(images, taps)
    return jnp.stack([outliers(values[tap][:, sites[tap].prefix :]) for tap in taps], axis=1)
