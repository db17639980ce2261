"""What the convolutional baselines share: convolutions padded as in torch, frozen norms, and the walk through stages.

Their activations are maps [batch, row, column, channel]; a channel is a unit. Every block has the taps `pre` and `out`,
before and after its last activation function (the same numbers where there is none).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from vitjax.errors import InputError
from vitjax.models.core.config import Patches, Preprocess
from vitjax.models.core.execution import Execution
from vitjax.models.core.network import Network
from vitjax.models.core.surroundings import promoting
from vitjax.models.core.taps import Taps

IMAGENET = Preprocess(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), interpolation="bilinear")


@dataclass(frozen=True)
class ConvNetConfig(Patches):
    """A convolutional network for classification: `image_size` is (height, width) in pixels.

    To stand beside a Vision Transformer it has a `grid` of patches of 16 pixels: what analyses hide or shuffle.
    """

    image_size: tuple[int, int] = (224, 224)
    classes: int = 1000
    norm_eps: float = 1e-5
    preprocess: Preprocess = field(default_factory=lambda: IMAGENET)

    patch_size: ClassVar[tuple[int, int]] = (16, 16)
    class_token: ClassVar[bool] = False
    prefix: ClassVar[int] = 0  # tokens before the patches

    def __post_init__(self):
        for side, what in zip(self.image_size, ("height", "width"), strict=True):
            if side < 32:
                raise InputError(f"image {what} {side} is too small: a convolutional network takes 32 pixels or more")


def conv(inputs: int, outputs: int, size: int, rngs: nnx.Rngs, stride: int = 1, groups: int = 1) -> nnx.Conv:
    """A square convolution without bias, padded by `size // 2` zeros on every side."""
    return nnx.Conv(
        inputs,
        outputs,
        (size, size),
        strides=stride,
        padding=size // 2,
        feature_group_count=groups,
        use_bias=False,
        kernel_init=jax.nn.initializers.he_normal(),
        rngs=rngs,
    )


class Norm(nnx.Module):
    """Batch normalisation by statistics that training left behind: an affine map of each channel."""

    def __init__(self, channels: int, eps: float):
        self.mean, self.bias = nnx.Param(jnp.zeros(channels)), nnx.Param(jnp.zeros(channels))
        self.variance, self.scale = nnx.Param(jnp.ones(channels)), nnx.Param(jnp.ones(channels))
        self.eps = eps

    def __call__(self, x: jax.Array) -> jax.Array:
        wide = jnp.promote_types(x.dtype, jnp.float32)
        mean, bias, variance, scale = (
            part[...].astype(wide) for part in (self.mean, self.bias, self.variance, self.scale)
        )
        return ((x - mean) * (scale * jax.lax.rsqrt(variance + self.eps)) + bias).astype(x.dtype)


class ConvNorm(nnx.Module):
    """A convolution and the norm of what it gives."""

    def __init__(
        self, inputs: int, outputs: int, size: int, eps: float, rngs: nnx.Rngs, stride: int = 1, groups: int = 1
    ):
        self.conv, self.norm = conv(inputs, outputs, size, rngs, stride, groups), Norm(outputs, eps)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.norm(self.conv(x))


class Stage(nnx.Module):
    """Blocks one after the other, each a function (activation, taps) to an activation."""

    def __init__(self, blocks: Iterable[nnx.Module]):
        self.blocks = nnx.List(blocks)

    def __call__(self, x: jax.Array, taps: Taps, remat: bool) -> jax.Array:
        for i, block in enumerate(self.blocks):
            if taps.done:
                break
            inside = taps.scope(f"blocks.{i}")
            if remat and not inside.touched:
                x = jax.checkpoint(lambda block, x: block(x, Taps()))(block, x)
            else:
                x = block(x, inside)
        return x


class ConvNet(Network):
    """A network of a stem, stages of blocks, and a linear classifier of the mean over all places.

    A kind of network has `stem`, `stages` and `head`, and says with `_between` and `_features` what else there is.
    """

    neurons = layers = "stages.*.blocks.*.out"
    activation = staticmethod(jax.nn.relu)

    @promoting()
    def embed(self, images: Float[Array, "batch height width color"]) -> Float[Array, "batch row column channel"]:
        """The first convolution of normalised images."""
        return self.stem.conv(images.astype(self.stem.conv.kernel.dtype))

    def _run(self, x: jax.Array, taps: Taps, execution: Execution) -> None:
        x = taps("stem", self.activation(taps("stem.pre", self.stem.norm(x))))
        for i, stage in enumerate(self.stages):
            if taps.done:
                return
            inside = taps.scope(f"stages.{i}")
            x = self._between(i, stage(self._before(i, x), inside, execution.remat), inside)
        if taps.done:
            return
        x = taps("pooled", self._features(x, taps).mean(axis=(1, 2)))
        if self.config.classes:
            taps("logits", self.head(x))

    def _before(self, i: int, x: jax.Array) -> jax.Array:
        """What stage `i` reads of what the one before it, or the stem, gives."""
        return x

    def _between(self, i: int, x: jax.Array, taps: Taps) -> jax.Array:
        """What stage `i` gives."""
        return x

    def _features(self, x: jax.Array, taps: Taps) -> jax.Array:
        """What the mean is taken of."""
        return x


def pool_stem(x: Float[Array, "batch row column channel"]) -> Float[Array, "batch half half channel"]:
    """The largest of 3 x 3 places, every second one: what follows the stem of ResNets and DenseNets."""
    return nnx.max_pool(x, (3, 3), strides=(2, 2), padding=((1, 1), (1, 1)))
