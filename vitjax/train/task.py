"""Says what a training asks of what is learned: a start, a loss, and pictures to look at on the way."""

from collections.abc import Mapping
from typing import Protocol

import jax
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, UInt8

from vitjax.models.core.network import Network

Batch = Mapping[str, jax.Array]


class Learned(nnx.Module):
    """All that is learned: the model that is kept, and by other names what is thrown away at the end.

    Args:
        model: that becomes the result.
        parts: modules or parameters.
    """

    def __init__(self, model: Network, **parts: nnx.Module):
        self.model = model
        for name, part in parts.items():
            setattr(self, name, part)


class Task(Protocol):
    """What is learned, and by which loss; its methods are traced, so they depend on nothing but their arguments."""

    def start(self, rngs: nnx.Rngs) -> Learned:
        """Gives everything that is learned, as it is before the first step."""

    def loss(
        self, learned: Learned, batch: Batch, key: jax.Array
    ) -> tuple[Float[Array, ""], Mapping[str, Float[Array, ""]]]:
        """Gives the loss of a batch, and more numbers for the curve.

        Args:
            learned: in the dtype of computing.
            batch: "images" float32 [batch, h, w, colour], cropped, mirrored and normalised as the model wants them;
                "labels" int32 [batch] where the images have classes; "step", how many steps were taken before. Where
                examples are made (`vitjax.train.feed.made`), what they have, as it is.
            key: of the step, the same on every host.
        """

    def samples(self, learned: Learned, batch: Batch, key: jax.Array) -> UInt8[np.ndarray, "picture h w 3"] | None:
        """Gives pictures to look at while it runs, of a few images; None where there is nothing to see."""
