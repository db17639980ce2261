"""Learns classes by cross-entropy: fine-tuning of what is pretrained, or training from scratch."""

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jaxtyping import Array, Float

from vitjax.models.drop_path import DropPath
from vitjax.models.registry import KINDS, Config
from vitjax.train.settings import Regularization
from vitjax.train.task import Batch, Learned


@dataclass(frozen=True)
class Classification:
    """Cross-entropy of a model's logits.

    Attributes:
        config: of a model with a head.
        how: what keeps it from learning its images by heart.
    """

    config: Config
    how: Regularization = field(default_factory=Regularization)

    def start(self, rngs: nnx.Rngs) -> Learned:
        """The model, at random."""
        return Learned(KINDS[type(self.config)](self.config, rngs))

    def loss(self, learned: Learned, batch: Batch, key: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        """The mean cross-entropy, and the share of images whose class is the likeliest."""
        model, how, (mixing, dropping) = learned.model, self.how, jax.random.split(key)
        images, target = batch["images"], jax.nn.one_hot(batch["labels"], self.config.classes)
        if how.mixup or how.cutmix:
            images, target = mixed(mixing, images, target, how.mixup, how.cutmix)
        drop_path = DropPath(dropping, how.drop_path) if how.drop_path else None
        logits = model.from_embedding(model.embed(images), "logits", drop_path=drop_path)["logits"]
        logits = logits.astype(jnp.float32)
        right = (logits.argmax(axis=-1) == batch["labels"]).mean(dtype=jnp.float32)
        return optax.softmax_cross_entropy(logits, optax.smooth_labels(target, how.smoothing)).mean(), {"right": right}

    def samples(self, learned: Learned, batch: Batch, key: jax.Array) -> None:
        """Nothing to see."""


def mixed(
    key: jax.Array,
    images: Float[Array, "image h w color"],
    target: Float[Array, "image class"],
    mixup: float,
    cutmix: float,
) -> tuple[Float[Array, "image h w color"], Float[Array, "image class"]]:
    """Mixes each image of a batch with the one as far from the end as it is from the beginning, and their targets.

    Mixup (arXiv 1710.09412) takes the mean of all pixels, CutMix (1905.04899) a rectangle of the other image, of the
    image's own shape and anywhere on it, cut off at its edges. The share is one for all of the batch.

    Args:
        key: that draws.
        images, target: of a batch.
        mixup, cutmix: both parameters of the beta distribution of the share that is left; 0 does not do it. If both
            are given, half of the batches have the one, half the other.
    """
    which, beta, place = jax.random.split(key, 3)
    cut = jax.random.bernoulli(which) if mixup and cutmix else bool(cutmix)
    alpha = jnp.where(cut, cutmix or 1.0, mixup or 1.0)
    stays = jax.random.beta(beta, alpha, alpha)
    sides = jnp.array(images.shape[1:3])
    half = jnp.sqrt(1 - stays) * sides / 2
    centre = jax.random.uniform(place, (2,)) * sides
    rows, columns = (
        (jnp.abs(jnp.arange(side) + 0.5 - middle) < most)
        for side, middle, most in zip(images.shape[1:3], centre, half, strict=True)
    )
    inside = (rows[:, None] & columns)[..., None].astype(jnp.float32)
    share = jnp.where(cut, inside, 1 - stays)  # of the other image, at each place
    return images + share * (images[::-1] - images), target + share.mean() * (target[::-1] - target)
