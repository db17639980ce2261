"""What of a dictionary changes with each update, how it begins, and the update."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from vitjax.models.core.surroundings import key
from vitjax.models.dictionaries.dictionary import Dictionary
from vitjax.models.dictionaries.form import NORMS, Form
from vitjax.models.kernels.products import product
from vitjax.train.dictionaries.kinds import BY_NAME, Multiply, latents, loss
from vitjax.train.settings import DictionarySettings

BLEND = 0.8  # of a first latent's direction: what is of a token; the rest is noise
SLOW = 0.999  # of the mean of thresholds, as a share that stays
LONG = 2**30  # tokens that a latent was not active for, at most: more are not counted
BETAS = {"b1": 0.9, "b2": 0.999}


class Coder(NamedTuple):
    """A dictionary while it learns.

    Attributes:
        arrays: float32: encoder [channel, latent], decoder [latent, channel], whose rows have the length 1,
            encoder_bias [latent] and bias [channel], subtracted before the encoder and added after the decoder.
        optimizer: its moments.
        mean, scale: of the tokens, by which the affine norm goes.
        idle: tokens since each latent was active.
        threshold: mean over steps of the least latent that was active.
        step: updates so far.
    """

    arrays: dict[str, Array]
    optimizer: optax.OptState
    mean: Float[Array, " channel"]
    scale: Float[Array, ""]
    idle: Int[Array, " latent"]
    threshold: Float[Array, ""]
    step: Int[Array, ""]


def multiplier(dtype: str) -> Multiply:
    """Multiplies matrices with operands of a dtype; sums are float32."""
    return jnp.matmul if dtype == "float32" else product


def optimizer(settings: DictionarySettings, steps: int) -> optax.GradientTransformation:
    """Adam of gradients that are clipped, those of the decoder along its rows taken out; the rate as settings say."""
    warm, cold = round(settings.warmup * steps), round(settings.decay * steps)
    parts = [optax.linear_schedule(0.0, settings.peak, max(warm, 1)), optax.constant_schedule(settings.peak)]
    parts.append(optax.linear_schedule(settings.peak, 0.0, max(cold, 1)))
    rate = optax.join_schedules(parts, [max(warm, 1), max(steps - cold, warm, 1)])
    return optax.chain(
        optax.clip_by_global_norm(settings.clip),
        optax.stateless(across),
        optax.scale_by_adam(**BETAS),
        optax.scale_by_learning_rate(rate),
    )


def across(updates: dict[str, Array], arrays: dict[str, Array]) -> dict[str, Array]:
    """The updates without what goes along the decoder's rows, which have one length."""
    rows = arrays["decoder"]
    along = jnp.sum(updates["decoder"] * rows, axis=1, keepdims=True) / jnp.sum(rows * rows, axis=1, keepdims=True)
    return updates | {"decoder": updates["decoder"] - along * rows}


def begun(tokens: Float[Array, "token channel"], settings: DictionarySettings, steps: int, batch: int) -> Coder:
    """A dictionary before its first update: rows that point to tokens, an encoder that is their transpose.

    Args:
        tokens: that it begins with, several batches.
        settings: the settings.
        steps: that there will be.
        batch: tokens of a step.
    """
    of_rows, of_noise = jax.random.split(key(settings.seed))
    mean = tokens.mean(axis=0, dtype=jnp.float32)
    scale = jnp.linalg.norm(tokens.astype(jnp.float32) - mean, axis=1).mean() / tokens.shape[1] ** 0.5 + 1e-9
    chosen = jax.random.randint(of_rows, (settings.width,), 0, len(tokens))
    noise = jax.random.normal(of_noise, (settings.width, tokens.shape[1]))
    x, width = _normalised(tokens, mean, scale, settings), settings.width
    bias = x.mean(axis=0)
    rows = _unit(BLEND * _unit(x[chosen] - bias) + (1 - BLEND) * _unit(noise))
    arrays = {"encoder": rows.T, "decoder": rows, "encoder_bias": jnp.zeros(width), "bias": bias}
    some = x[: min(batch, len(x))]
    again = latents(arrays, some, settings, jnp.matmul)[1] @ rows
    # Many rows are near a token at once: an encoder that is shorter by so much fits best.
    arrays["encoder"] *= jnp.sum(again * (some - bias)) / (jnp.sum(again * again) + 1e-9)
    state = optimizer(settings, steps).init(arrays)
    zero = jnp.zeros((), jnp.float32)
    return Coder(arrays, state, mean, scale, jnp.zeros(width, jnp.int32), zero, jnp.zeros((), jnp.int32))


def updated(
    coder: Coder, tokens: Float[Array, "token channel"], settings: DictionarySettings, steps: int, dtype: str
) -> tuple[Coder, dict[str, Array]]:
    """Learns from a batch of tokens; gives what comes of it, and numbers for the curve.

    Args:
        coder: so far.
        tokens: of the tap, as they are.
        settings: the settings.
        steps: that there are.
        dtype: of products.
    """
    x = _normalised(tokens, coder.mean, coder.scale, settings)
    dead = coder.idle >= min(settings.dead * settings.tokens, LONG)
    asked = partial(loss, x=x, dead=dead, settings=settings, multiply=multiplier(dtype))
    (cost, found), gradient = jax.value_and_grad(asked, has_aux=True)(coder.arrays)
    updates, moments = optimizer(settings, steps).update(gradient, coder.optimizer, coder.arrays)
    arrays = optax.apply_updates(coder.arrays, updates)
    arrays["decoder"] = _unit(arrays["decoder"])
    idle = jnp.where(found["active"], 0, jnp.minimum(coder.idle + len(x), LONG))
    stays = jnp.minimum(SLOW, coder.step / (10.0 + coder.step))
    least = jnp.where(jnp.isfinite(found["least"]), found["least"], coder.threshold)
    threshold = stays * coder.threshold + (1 - stays) * least
    told = {"loss": cost, **found["told"], "dead": dead.mean(), "gradient": optax.tree.norm(gradient)}
    return Coder(arrays, moments, coder.mean, coder.scale, idle, threshold, coder.step + 1), told


def finished(coder: Coder, settings: DictionarySettings, tap: str, card: Any = None) -> Dictionary:
    """What came of it, as it is read.

    Args:
        coder: after its last update.
        settings: the settings.
        tap: whose values it takes apart.
        card: says where it came from.
    """
    kind, arrays = BY_NAME[settings.kind], dict(coder.arrays)
    bias = arrays.pop("bias")
    arrays |= {"pre_bias": bias, "decoder_bias": bias}
    if settings.norm == "affine":
        arrays |= {"mean": coder.mean, "scale": jnp.full(len(coder.mean), coder.scale)}
    form = {"tokens": settings.where, "norm": settings.norm, **kind.form}
    if kind.batched:
        arrays["threshold"] = jnp.full(settings.width, coder.threshold)
    if form["activation"] == "topk":
        form["k"] = settings.k
    return Dictionary(Form(tap, **form), arrays, card)


def _normalised(
    tokens: Array, mean: Array, scale: Array, settings: DictionarySettings
) -> Float[Array, "token channel"]:
    """Tokens as the encoder of the dictionary will read them, but for its bias."""
    x = tokens.astype(jnp.float32)
    shift, into, _ = NORMS[settings.norm](x, Form("", norm=settings.norm), {"mean": mean, "scale": scale})
    return (x - shift) / into


def _unit(rows: Float[Array, "row channel"]) -> Float[Array, "row channel"]:
    return rows / (jnp.linalg.norm(rows, axis=1, keepdims=True) + 1e-12)
