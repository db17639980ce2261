"""What the training of the embedded model learns: a student of labels and, where there is one, of a teacher."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax import lax

from experiments.demo import augment, distill
from experiments.demo.settings import Training
from vitjax.models.registry import KINDS
from vitjax.train.task import Batch, Learned


def unchanged(x: jax.Array) -> jax.Array:
    """An edit that has a block compiled by itself, which takes 6 % less time than a scan over all."""
    return x


def either(
    first: jax.Array,
    one: Callable[[Learned], jax.Array],
    other: Callable[[Learned], jax.Array],
    learned: Learned,
) -> jax.Array:
    """The one loss or the other, each differentiated by itself.

    The gradient of a `lax.cond` would write down what the backward passes of both need, zeros for the one that did not
    run, in every step.
    """

    @jax.custom_vjp
    def loss(learned: Learned) -> jax.Array:
        return lax.cond(first, one, other, learned)

    def forward(learned: Learned) -> tuple[jax.Array, Learned]:
        return lax.cond(first, jax.value_and_grad(one), jax.value_and_grad(other), learned)

    def backward(gradient: Learned, scale: jax.Array) -> tuple[Learned]:
        return (jax.tree.map(lambda part: scale * part, gradient),)

    loss.defvjp(forward, backward)
    return loss(learned)


@dataclass(frozen=True)
class Student:
    """A `vitjax.train.task.Task`: cross-entropy with label smoothing, plus what the teacher adds.

    Attributes:
        config: of the training.
        sizes: channels and classes of the teacher, if there is one.
        taught: "scale" and "head" of the teacher, see `distill.Pupil`; empty without one.
    """

    config: Training
    sizes: tuple[int, int] | None = None
    taught: Mapping = field(default_factory=dict)

    def start(self, rngs: nnx.Rngs) -> Learned:
        """The model, and with a teacher the layers that learn its answers."""
        config = self.config
        learned = Learned(KINDS[type(config.config)](config.config, rngs))
        if self.sizes:
            width = learned.model.taps()["pooled"].shape[0]
            learned.pupil = distill.Pupil(width, *self.sizes, config.taught, config.seed)
        return learned

    def loss(self, learned: Learned, batch: Batch, key: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        """The loss of a batch, whose "tokens" are the teacher's; a model sees few patch tokens until the last part."""
        patches, switch = self.config.config.patches, int(self.config.steps * (1 - self.config.full))
        whole = partial(self._loss, keep=patches)
        if self.config.kept == patches or not switch:
            return whole(learned, batch, key), {}
        few = partial(self._loss, keep=self.config.kept)
        given = lambda loss: lambda learned: loss(learned, batch, key)
        return either(batch["step"] < switch, given(few), given(whole), learned), {}

    def samples(self, learned: Learned, batch: Batch, key: jax.Array) -> None:
        """Nothing to see."""

    def _loss(self, learned: Learned, batch: Batch, key: jax.Array, keep: int) -> jax.Array:
        config, preprocess = self.config, self.config.config.preprocess
        mirror, move, change, drop = jax.random.split(key, 4)
        count, patches = len(batch["images"]), config.config.patches
        turned = jax.random.bernoulli(mirror, shape=(count,))
        images = batch["images"] * jnp.asarray(preprocess.std) + jnp.asarray(preprocess.mean)
        images = augment.mirrored(images, turned)
        images = jax.vmap(partial(augment.shift, most=config.shift))(jax.random.split(move, count), images)
        images = jax.vmap(partial(augment.recolour, share=config.colours))(jax.random.split(change, count), images)
        places = augment.some_of(drop, count, patches, keep)
        edits = dict.fromkeys((tap for tap in learned.model.taps() if tap.endswith(".resid_pre")), unchanged)
        if keep < patches:
            edits["embed"] = partial(augment.pick, places=places)
        seen = learned.model(images, ["logits", *(learned.pupil.reads if self.taught else ())], edits)
        target = optax.smooth_labels(jax.nn.one_hot(batch["labels"], config.config.classes), config.smoothing)
        loss = optax.softmax_cross_entropy(seen["logits"], target).mean()
        if self.taught:
            theirs = batch["tokens"]
            if config.taught:
                theirs = augment.pick(theirs, augment.unmirrored(places, turned, config.taught[1]))
            loss += config.distill * learned.pupil(seen, theirs.astype(jnp.float32), **self.taught)
        return loss
