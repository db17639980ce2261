"""Learns classes by cross-entropy: fine-tuning of what is pretrained, or training from scratch."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from vitjax.models.registry import KINDS, Config
from vitjax.train.task import Batch, Learned


@dataclass(frozen=True)
class Classification:
    """Cross-entropy of a model's logits.

    Attributes:
        config: of a model with a head.
        smoothing: share of the target that is spread over all classes.
    """

    config: Config
    smoothing: float = 0.1

    def start(self, rngs: nnx.Rngs) -> Learned:
        """The model, at random."""
        return Learned(KINDS[type(self.config)](self.config, rngs))

    def loss(self, learned: Learned, batch: Batch, key: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        """The mean cross-entropy, and the share of images whose class is the likeliest."""
        model = learned.model
        logits = model.from_embedding(model.embed(batch["images"]), "logits")["logits"].astype(jnp.float32)
        target = optax.smooth_labels(jax.nn.one_hot(batch["labels"], logits.shape[-1]), self.smoothing)
        right = (logits.argmax(axis=-1) == batch["labels"]).mean(dtype=jnp.float32)
        return optax.softmax_cross_entropy(logits, target).mean(), {"right": right}

    def samples(self, learned: Learned, batch: Batch, key: jax.Array) -> None:
        """Nothing to see."""
