"""What the convolutional baselines share: convolutions padded as in torch, frozen norms, stages of unlike blocks.

Their activations are maps [batch, row, column, channel]; a channel is a unit. Every block has the taps `pre` and `out`,
before and after its last activation function (the same numbers where there is none).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import ClassVar

import jax
from flax import nnx
from jaxtyping import Array, Float

from vitjax.errors import InputError
from vitjax.models.core.config import Patches, Preprocess
from vitjax.models.core.stack import Segment, Stack
from vitjax.models.core.stages import Hierarchical, Stage
from vitjax.models.core.surroundings import promoting
from vitjax.models.core.taps import Taps
from vitjax.models.parts.norm import FrozenBatchNorm

IMAGENET = Preprocess(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), interpolation="bilinear")
MAP = "row column channel"


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


class ConvNorm(nnx.Module):
    """A convolution and the norm of what it gives."""

    def __init__(
        self, inputs: int, outputs: int, size: int, eps: float, rngs: nnx.Rngs, stride: int = 1, groups: int = 1
    ):
        self.conv, self.norm = conv(inputs, outputs, size, rngs, stride, groups), FrozenBatchNorm(outputs, eps)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.norm(self.conv(x))


class ConvStage(Stage):
    """Blocks of convolutions one after the other, each a function (map, taps, execution) to a map.

    Args:
        blocks: unlike each other.
        transition: a function of the map that comes in; default none.
        whole: name of a tap of all that the stage gives; default none.
    """

    def __init__(
        self, blocks: Iterable[nnx.Module], transition: nnx.Module | Callable | None = None, whole: str | None = None
    ):
        self.blocks, self.transition, self.whole = nnx.List(blocks), transition, whole

    def stack(self) -> Stack:
        """The blocks."""
        return Stack(self, Segment(("blocks",), len(self.blocks), stacked=False))

    def enter(self, x: jax.Array, taps: Taps) -> jax.Array:
        """The map after the transition."""
        return x if self.transition is None else self.transition(x)

    def leave(self, x: jax.Array, taps: Taps) -> jax.Array:
        """The last block's map, through the tap `whole`."""
        return x if self.whole is None else taps(self.whole, x, MAP)


class ConvNet(Hierarchical):
    """A network of a stem, stages of blocks, and a linear classifier of the mean over all places.

    A kind of network has `stem`, `stages` and `head`, and says with `_features` what the mean is taken of.
    """

    neurons = layers = "stages.*.blocks.*.out"
    activation = staticmethod(jax.nn.relu)

    @promoting()
    def embed(self, images: Float[Array, "batch height width color"]) -> Float[Array, "batch row column channel"]:
        """The first convolution of normalised images."""
        return self.stem.conv(images.astype(self.stem.conv.kernel.dtype))

    def begin(self, x: jax.Array, taps: Taps) -> jax.Array:
        """The stem, after its convolution."""
        return activated(taps, "stem.pre", "stem", self.activation, self.stem.norm(x))

    def end(self, x: jax.Array, taps: Taps) -> None:
        """The mean over all places, and the head."""
        x = taps("pooled", self._features(x, taps).mean(axis=(1, 2)), "channel")
        if self.config.classes:
            taps("logits", self.head(x), "class")

    def _features(self, x: jax.Array, taps: Taps) -> jax.Array:
        """What the mean is taken of."""
        return x


def activated(taps: Taps, before: str, after: str, function: Callable, x: jax.Array) -> jax.Array:
    """Passes a map through the tap `before`, an activation function, and the tap `after`."""
    return taps(after, function(taps(before, x, MAP)), MAP, before=before)


def pool_stem(x: Float[Array, "batch row column channel"]) -> Float[Array, "batch half half channel"]:
    """The largest of 3 x 3 places, every second one: what follows the stem of ResNets and DenseNets."""
    return nnx.max_pool(x, (3, 3), strides=(2, 2), padding=((1, 1), (1, 1)))
