"""Traces the information in each token back to the patches: by rollout of attention, or weighted by gradients.

Nguyen et al. 2022 (arXiv 2210.07646) use the rollout of Abnar and Zuidema 2020 (arXiv 2005.00928), for attention maps
and to carry views to higher layers.
"""

from collections.abc import Callable, Sequence
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from vitjax.analysis.study.blocks import beside, last_stage, stream
from vitjax.errors import InputError, nearest
from vitjax.models.core.images import checked
from vitjax.models.core.network import Network
from vitjax.models.core.surroundings import promoting
from vitjax.models.core.tap_site import Site
from vitjax.units.select import token_span

RESIDUAL = 0.5  # the weight of a token itself beside what it attends to: (A + 1) / 2


def attention(
    model: Network, images: Float[Array, "image h w 3"], layers: int | None = None
) -> Float[Array, "layer image head query key"]:
    """The attention probabilities A_l of the first `layers` blocks of the last stage, default all of them.

    A token that joins later, as ConViT's class token does, attends to itself alone until then.
    """
    taps = _probs(model)[:layers]
    values = model(images, taps)
    return jnp.stack([_of_all(values[tap], stream(model).tokens, 1) for tap in taps])


def _of_all(found: Float[Array, "*n query key"], tokens: int, own: float) -> Float[Array, "*n token token"]:
    """What is known of the last of so many tokens; those before them have `own` of themselves and nothing of others."""
    more = tokens - found.shape[-1]
    if not more:
        return found
    padded = jnp.pad(found, [(0, 0)] * (found.ndim - 2) + [(more, 0)] * 2)
    return padded + own * jnp.diag(jnp.arange(tokens) < more)


def mixing(attention: Float[Array, "*n query key"], residual: float = RESIDUAL) -> Float[Array, "*n query key"]:
    """Gives how a block mixes tokens, as far as attention says it: attention, and `residual` of the token itself.

    Raises:
        InputError: a residual outside [0, 1).
    """
    if not 0 <= residual < 1:
        raise InputError(f"residual is {residual}, it must be at least 0 and below 1")
    return (1 - residual) * attention + residual * jnp.eye(attention.shape[-1])


def rollout(steps: Float[Array, "layer *n query key"]) -> Float[Array, "layer *n query key"]:
    """The products J_l = S_l J_{l-1}, J_0 = S_0 of what each block does to tokens (`mixing`).

    J_l[i, k] is the share of token k of the embedding in token i after block l; rows that sum to 1 go on doing so.
    """
    return lax.scan(_step, jnp.broadcast_to(jnp.eye(steps.shape[-1]), steps.shape[1:]), steps)[1]


def _step(before: Array, now: Array) -> tuple[Array, Array]:
    after = jnp.matmul(now, before, precision="highest")
    return after, after


def gradient_weighted(
    model: Network, images: Float[Array, "image h w 3"], classes: Int[Array, " image"] | None = None
) -> Float[Array, "layer image query key"]:
    """Weights attention by what speaks for a class: the positive part of its product with the logit's gradient.

    The mean over heads. Chefer et al. 2021 (arXiv 2103.15679), their rule for self-attention: with the token itself
    added, it is rolled out.

    Args:
        model: with a head.
        images: in [0, 1].
        classes: whose logit is meant; default the model's choice for each image.

    Raises:
        InputError: a model without a head.
    """
    if not model.config.classes:
        raise InputError("gradients of a class need a head, and this model has none (classes=0)")
    taps, sites = _probs(model), model.taps()

    def score(added):
        edits = {tap: lambda probs, tap=tap: probs + added[tap] for tap in taps}
        values = model(images, [*taps, "logits"], edits)
        logits = values["logits"]
        chosen = logits.max(axis=1) if classes is None else logits[jnp.arange(len(logits)), classes]
        return chosen.sum(), {tap: values[tap] for tap in taps}

    nothing = {tap: jnp.zeros((len(images), *sites[tap].shape)) for tap in taps}
    gradient, probs = jax.grad(score, has_aux=True)(nothing)
    found = [jnp.maximum(gradient[tap] * probs[tap], 0).mean(axis=1) for tap in taps]
    return jnp.stack([_of_all(weighted, stream(model).tokens, 0) for weighted in found])


def _probs(model: Network) -> list[str]:
    return [beside(tap, "attn.probs") for tap in last_stage(model)]


def _rollout(model: Network, images: Array, residual: float) -> Array:
    return rollout(mixing(attention(model, images).mean(axis=2), residual))


def _gradient(model: Network, images: Array, residual: float) -> Array:
    weighted = gradient_weighted(model, images)
    return rollout(weighted + jnp.eye(weighted.shape[-1]))


METHODS: dict[str, Callable[[Network, Array, float], Array]] = {
    "rollout": _rollout,
    "attention": lambda model, images, residual: attention(model, images).mean(axis=2),
    "gradient": _gradient,
}


@promoting()
@partial(jax.jit, static_argnames=("method", "residual"))
def _relevance(model: Network, images: Array, *, method: str, residual: float) -> Array:
    return METHODS[method](model, images, residual)


def relevance(
    model: Network, images: Float[Array, "image h w 3"], method: str = "rollout", residual: float | None = None
) -> Float[Array, "layer image query key"]:
    """Computes what each token after each block (query) has of each token of the embedding (key); heads are averaged.

    In a model of stages these are the blocks of the last one, and what it embeds.

    Args:
        model: any.
        images: in [0, 1], of the model's size.
        method: "rollout", "attention" (of each block alone), or "gradient" (rollout of `gradient_weighted` attention).
        residual: for "rollout", the weight of the token itself (default 0.5); 0 is the plain product of attentions.

    Raises:
        InputError: an unknown method, a residual where it means nothing or outside [0, 1), images of another size.
    """
    check_method(method, residual)
    images = checked(images, model.config.image_size, model.config.channels)
    return _relevance(model, jnp.asarray(images), method=method, residual=RESIDUAL if residual is None else residual)


def check_method(method: str, residual: float | None) -> None:
    """Raises an InputError for an unknown method, or for a residual given to one that has none."""
    if method not in METHODS:
        raise InputError(f"unknown method {method!r}{nearest(method, METHODS)}: one of {', '.join(METHODS)}")
    if residual is not None and method != "rollout":
        raise InputError(f"residual={residual} has no meaning for method {method!r}, only for 'rollout'")


def check_layers(layers: Sequence[int], depth: int, first: int = 1) -> tuple[int, ...]:
    """The layers; an InputError for one below `first` or beyond the last of `depth` blocks, or for none."""
    wrong = [layer for layer in layers if not first <= layer <= depth]
    if wrong or not layers:
        which = f"layer {wrong[0]} is out of range" if wrong else "no layers are given"
        raise InputError(f"{which}: layers count the blocks gone through, {first}-{depth}")
    return tuple(layers)


def default_tokens(site: Site) -> str:
    """Whose map is meant where none are named: the class token's, or in models without one that of all patches."""
    return "class" if site.class_token else "patches"


def at_grid(found: Float[Array, "*n query key"], tokens: str, site: Site) -> Float[Array, "*n row column"]:
    """The attention map of some tokens: their rows, averaged, at the patches.

    Args:
        found: as `relevance` gives it.
        tokens: whose: "class", "patches", "all" or "patch N".
        site: where the tokens stand, see `study.blocks.stream`.
    """
    row = found[..., token_span(tokens, site), :].mean(axis=-2)[..., site.prefix :]
    return row.reshape(*row.shape[:-1], *site.grid)
