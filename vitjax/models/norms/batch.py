"""Normalizers with statistics over a batch, for which in evaluation a moving mean stands.

While a model learns (`model.train()`) they normalise by the batch, or by what moves, as their papers say; in
evaluation, which is how models are made, by what moved alone, so that no image depends on others. What moves is held
beside the parameters, by names that begin with `moving_`. Its gradient, by the rules of this module, is not the loss's:
it is how far what is held lies from what the batch says, so that a step of `RATE` against it makes a moving mean. The
optimizer of trainings takes such steps (`vitjax.train.loop.moving`); scans, recomputation and devices that share a
batch need know nothing of it.
"""

from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

MOVING = "moving_"  # begins the names of what moves
RATE = 0.1  # share of what is held that a step replaces, in all three papers' code
Statistic = Float[Array, "..."]


@jax.custom_vjp
def tracked(held: Statistic, found: Statistic) -> Statistic:
    """Gives what is found in the batch; the gradient of what is held says how far that lies from it."""
    return found


tracked.defvjp(
    lambda held, found: (found, (held, found)),
    lambda kept, back: ((kept[0] - kept[1]).astype(kept[0].dtype), back),
)


class BatchNorm(nnx.Module):
    """Batch normalization: each channel by its mean and variance over batch and tokens (Ioffe and Szegedy 2015).

    y = γ (x - E x) / √(Var x + ε) + β. The variance that moves is that of a sample, n / (n - 1) times the batch's.
    arXiv 1502.03167.

    Args:
        width: channels.
        eps: added to the variance.

    Attributes:
        use_running_average: whether by what moved, as in evaluation; `model.train()` and `model.eval()` set it.
    """

    def __init__(self, width: int, eps: float):
        self.scale, self.bias = nnx.Param(jnp.ones(width)), nnx.Param(jnp.zeros(width))
        self.moving_mean, self.moving_variance = nnx.BatchStat(jnp.zeros(width)), nnx.BatchStat(jnp.ones(width))
        self.eps, self.use_running_average = eps, True

    def __call__(self, x: Float[Array, "batch token channel"]) -> Array:
        wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        mean, variance = self.statistics(wide)
        return _shown(self, (wide - mean) * jax.lax.rsqrt(variance + self.eps)).astype(x.dtype)

    def statistics(self, x: Float[Array, "batch token channel"]) -> tuple[Array, Array]:
        """Mean and variance of each channel, of the batch or what moved."""
        mean, variance = (part[...].astype(x.dtype) for part in (self.moving_mean, self.moving_variance))
        if self.use_running_average:
            return mean, variance
        mean, count = tracked(mean, x.mean(axis=(0, 1))), x.shape[0] * x.shape[1]
        of_sample = jnp.square(x - mean).sum(axis=(0, 1)) / max(count - 1, 1)
        return mean, tracked(variance, of_sample) * (max(count - 1, 1) / count)


class SwitchableNorm(BatchNorm):
    """Switchable normalization: learned shares of the statistics of IN, LN and BN (Luo et al. 2018).

    The mean is the mean, with the softmax of three weights, of those over tokens, over channels of a token, and over
    batch and tokens; the variance likewise by weights of its own. In the paper LN is over the channels of all places,
    here over those of a token, as in Transformers. arXiv 1806.10779. Arguments as of `BatchNorm`.
    """

    def __init__(self, width: int, eps: float):
        super().__init__(width, eps)
        self.mix_mean, self.mix_variance = nnx.Param(jnp.ones(3)), nnx.Param(jnp.ones(3))

    def statistics(self, x: Float[Array, "batch token channel"]) -> tuple[Array, Array]:
        """The mixed mean and variance, of each channel of each token."""
        of_mean, of_variance = (jax.nn.softmax(mix[...].astype(x.dtype)) for mix in (self.mix_mean, self.mix_variance))
        mean, variance = super().statistics(x)
        means = [x.mean(axis=1, keepdims=True), x.mean(axis=2, keepdims=True), mean]
        variances = [x.var(axis=1, keepdims=True), x.var(axis=2, keepdims=True), variance]
        mixed = lambda shares, parts: sum(share * part for share, part in zip(shares, parts, strict=True))
        return mixed(of_mean, means), mixed(of_variance, variances)


class PowerNorm(nnx.Module):
    """Power normalization: each channel by a moving quadratic mean over batch and tokens (Shen et al. 2020).

    y = γ x̂ + β with x̂ = x / ψ, where ψ² is the moving mean of x² over the batches before. What the gradient of a
    batch's own ψ would add is a moving mean too: ∂L/∂x = (∂L/∂x̂ - ν x̂) / ψ, and ν becomes ν (1 - 0.1 Γ) + 0.1 Λ with
    Γ = E x̂² and Λ = E ∂L/∂x̂ x̂. arXiv 2003.07845, without the first steps in which its authors normalise by the batch.

    Args:
        width: channels.
        eps: added to ψ².
    """

    def __init__(self, width: int, eps: float):
        self.scale, self.bias = nnx.Param(jnp.ones(width)), nnx.Param(jnp.zeros(width))
        self.moving_square, self.moving_slope = nnx.BatchStat(jnp.ones(width)), nnx.BatchStat(jnp.zeros(width))
        self.eps, self.use_running_average = eps, True

    def __call__(self, x: Float[Array, "batch token channel"]) -> Array:
        wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        square, slope = (part[...].astype(wide.dtype) for part in (self.moving_square, self.moving_slope))
        found = wide * jax.lax.rsqrt(square + self.eps)
        return _shown(self, found if self.use_running_average else _powered(self.eps, wide, square, slope)).astype(
            x.dtype
        )


def _shown(norm: nnx.Module, x: Array) -> Array:
    return x * norm.scale[...].astype(x.dtype) + norm.bias[...].astype(x.dtype)


def _divided(eps: float, x: Array, square: Statistic, slope: Statistic) -> Array:
    return x * jax.lax.rsqrt(square + eps)


_powered = jax.custom_vjp(_divided, nondiff_argnums=(0,))


def _powered_back(eps: float, kept: tuple[Array, Statistic, Statistic], back: Array) -> tuple[Array, Array, Array]:
    x, square, slope = kept
    over = jax.lax.rsqrt(square + eps)
    normed, mean = x * over, partial(jnp.mean, axis=(0, 1))
    towards = slope * mean(jnp.square(normed)) - mean(back * normed)
    return (back - slope * normed) * over, square - mean(jnp.square(x)), towards


_powered.defvjp(
    lambda eps, x, square, slope: (_divided(eps, x, square, slope), (x, square, slope)),
    _powered_back,
)
