"""Kinds of dictionaries as they learn: which latents of a batch stay, what that costs, and what dead ones are asked.

Sources: TopK and AuxK of Gao et al. 2024 (arXiv 2406.04093), BatchTopK of Bussmann et al. 2024 (2412.06410), Matryoshka
of Bussmann et al. 2025 (2503.17547), whose groups are those of Pach et al. 2025 (2504.02821).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import accumulate, pairwise

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from vitjax.train.dictionaries.threshold import kth_largest, nth_largest
from vitjax.train.settings import DictionarySettings

GROUPS = (1 / 16, 1 / 8, 1 / 4)  # of Matryoshka's latents, the first of so many shares; the last has the rest
Arrays = Mapping[str, Array]
Multiply = Callable[[Array, Array], Array]


@dataclass(frozen=True)
class Kind:
    """A kind of dictionary.

    Attributes:
        keep: which latents stay of (latents before the activation function [token, latent], k).
        form: fields of `Form` that it is read with.
        batched: whether the tokens of a batch share their latents out: a threshold stands for that where it is read.
        nested: whether the first groups of latents have to do without the others as well.
        penalised: whether the sum of the latents is a cost.
    """

    keep: Callable[[Array, int], Array]
    form: Mapping[str, object]
    batched: bool = False
    nested: bool = False
    penalised: bool = False


def _largest(pre: Float[Array, "token latent"], k: int) -> Bool[Array, "token latent"]:
    return pre >= kth_largest(pre, k)


def _of_all(pre: Float[Array, "token latent"], k: int) -> Bool[Array, "token latent"]:
    return pre >= nth_largest(pre, k * len(pre))


THRESHOLD = {"activation": "threshold"}
# By name, see `vitjax.train.settings.KINDS`.
BY_NAME: dict[str, Kind] = {
    "topk": Kind(_largest, {"activation": "topk"}),
    "batchtopk": Kind(_of_all, THRESHOLD, batched=True),
    "matryoshka": Kind(_of_all, THRESHOLD, batched=True, nested=True),
    "relu": Kind(lambda pre, k: pre > 0, {"activation": "relu"}, penalised=True),
}


def groups(width: int) -> list[tuple[int, int]]:
    """Where Matryoshka's groups of latents begin and end."""
    ends = {0, *(round(width * share) for share in accumulate(GROUPS)), width}
    return [*pairwise(sorted(ends))]


def latents(
    arrays: Arrays, x: Float[Array, "token channel"], settings: DictionarySettings, multiply: Multiply
) -> tuple[Array, Array]:
    """The latents of tokens, before the activation function and after it.

    Args:
        arrays: of the dictionary: encoder, decoder, encoder_bias and bias, which goes before the encoder and after the
            decoder.
        x: normalised tokens.
        settings: the settings.
        multiply: of matrices.
    """
    # The bias before the encoder is taken through it, as one row: so no gradient of the tokens is computed.
    pre = multiply(x, arrays["encoder"]) + (arrays["encoder_bias"] - arrays["bias"] @ arrays["encoder"])
    kept = BY_NAME[settings.kind].keep(lax.stop_gradient(pre), settings.k)
    return pre, jnp.where(kept, jax.nn.relu(pre), 0)


def loss(
    arrays: Arrays,
    x: Float[Array, "token channel"],
    dead: Bool[Array, " latent"],
    settings: DictionarySettings,
    multiply: Multiply,
) -> tuple[Float[Array, ""], dict[str, Array]]:
    """The loss of a batch: the mean square of the error, over all channels, and what the kind asks besides.

    Args:
        arrays, x, settings, multiply: as of `latents`.
        dead: latents that were not active for long.

    Returns:
        The loss; and "active" [latent], "least", the least latent that is active, and "told", numbers for the curve.
    """
    kind = BY_NAME[settings.kind]
    pre, found = latents(arrays, x, settings, multiply)
    parts = groups(settings.width) if kind.nested else [(0, settings.width)]
    again, errors = arrays["bias"], []
    for first, end in parts:
        again = again + multiply(found[:, first:end], arrays["decoder"][first:end])
        errors.append(jnp.mean((x - again) ** 2))
    error = x - again
    total = jnp.mean(jnp.stack(errors))
    if kind.penalised:
        total += settings.penalty * jnp.mean(jnp.sum(found, axis=1))
    if settings.revive:
        total += settings.revive * _revived(arrays, pre, lax.stop_gradient(error), dead, multiply)
    positive = found > 0
    spread = jnp.mean((x - x.mean(axis=0)) ** 2)
    told = {"nmse": errors[-1] / spread, "l0": positive.sum(axis=1).mean()}
    least = jnp.min(jnp.where(positive, found, jnp.inf))
    return total, {"told": told, "active": positive.any(axis=0), "least": least}


def _revived(arrays: Arrays, pre: Array, error: Array, dead: Array, multiply: Multiply) -> Array:
    """How much of the error the dead latents leave that come nearest to it, half as many as channels; 0 if none is."""
    count = min(max(1, error.shape[1] // 2), pre.shape[1])

    def revived() -> Array:
        theirs = jnp.where(dead, pre, -jnp.inf)
        kept = _largest(lax.stop_gradient(theirs), count) & dead
        again = multiply(jnp.where(kept, jax.nn.relu(pre), 0), arrays["decoder"])
        return jnp.sum((error - again) ** 2) / (jnp.sum((error - error.mean(axis=0)) ** 2) + 1e-9)

    return lax.cond(dead.any(), revived, lambda: jnp.float32(0))
