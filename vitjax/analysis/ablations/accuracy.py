"""Measures a model's accuracy under several conditions, all of them in one pass over the images."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from vitjax.analysis.study.passes import Pace, over
from vitjax.data.pipeline import Batches
from vitjax.models.core.network import Network

# A way to run the model: (model, images in [0, 1]) to logits [image, *axes, class], e.g. an axis of patches. Functions
# that are defined once, with keywords by `partial` if need be, are compiled once.
Condition = Callable[[Network, Float[Array, "image h w 3"]], Float[Array, "image *axes class"]]


def plain(model: Network, images: Float[Array, "image h w 3"]) -> Float[Array, "image class"]:
    """The condition that changes nothing."""
    return model(images, "logits")["logits"]


@dataclass(frozen=True)
class Outcome:
    """How the head judged every image.

    Attributes:
        rank: [image, *axes], how many classes stand before the true one; 0 is right.
        loss: [image, *axes], cross-entropy in nats.
    """

    rank: Int[np.ndarray, "image ..."]
    loss: Float[np.ndarray, "image ..."]

    def top(self, k: int) -> Float[np.ndarray, "..."]:
        """The share of images whose true class is among the first `k`."""
        return (self.rank < k).mean(axis=0)

    def at(self, *index: int) -> "Outcome":
        """What belongs to one entry of the further axes, e.g. one patch."""
        return Outcome(self.rank[:, *index], self.loss[:, *index])

    def change(self, whole: "Outcome", k: int = 1) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
        """Top-`k` less that of `whole`, which has no further axes, and its standard error.

        Paired, image by image: what both share of the images' luck cancels.
        """
        known = (whole.rank < k).reshape(-1, *[1] * (self.rank.ndim - 1))
        change = (self.rank < k).astype(float) - known
        return change.mean(axis=0), change.std(axis=0) / np.sqrt(len(change))

    def row(self, whole: "Outcome | None" = None) -> dict[str, float]:
        """Top-1, its standard error, top-5 and loss, for a condition without further axes.

        Args:
            whole: what the same images gave in the condition to compare with. Then the row also has the `change`.
        """
        top1, count = float(self.top(1)), len(self.rank)
        row = {
            "images": count,
            "top1": top1,
            "top1_error": float(np.sqrt(top1 * (1 - top1) / count)),
            "top5": float(self.top(5)),
            "loss": float(self.loss.mean()),
        }
        if whole is not None:
            row |= dict(zip(("change", "change_error"), map(float, self.change(whole)), strict=True))
        return row


def evaluate(
    model: Network, batches: Batches, labels: Int[np.ndarray, " image"], conditions: Mapping[str, Condition]
) -> dict[str, Outcome]:
    """Runs every condition on every readable image.

    Args:
        model: with a head, unless the conditions bring their own.
        batches: the images.
        labels: the true class of each image of `batches.images`.
        conditions: {name: how to get logits}; the keywords of a `partial` have hashes.

    Returns:
        {name: Outcome}, images in the order of the data set. Equal logits are ranked by class, the lower first.
    """
    judges = {name: judge(model, batches.size, condition) for name, condition in conditions.items()}
    pace = Pace()
    places, found = [], {name: [] for name in conditions}
    for batch in batches:
        truth = np.where(batch.place >= 0, labels[batch.place], 0)
        places.append(batch.place)
        for name, judged_by in judges.items():
            found[name].append(pace(judged_by(batch.images, truth)))
    kept = np.concatenate(places) >= 0
    join = lambda parts: np.concatenate([np.asarray(part) for part in parts])[kept]
    return {name: Outcome(*map(join, zip(*parts, strict=True))) for name, parts in found.items()}


def judged(
    logits: Float[Array, "image *axes class"], truth: Int[Array, " image"]
) -> tuple[Int[Array, "image ..."], Float[Array, "image ..."]]:
    """How many classes stand before the true one, and the cross-entropy in nats: the fields of an `Outcome`."""
    logits = logits.astype(jnp.float32)
    truth = truth.reshape(-1, *[1] * (logits.ndim - 1))
    true = jnp.take_along_axis(logits, truth, axis=-1)
    before = (logits > true) | ((logits == true) & (jnp.arange(logits.shape[-1]) < truth))
    return before.sum(axis=-1, dtype=jnp.int32), -jnp.take_along_axis(jax.nn.log_softmax(logits), truth, -1)[..., 0]


def judge(model: Network, size: int, condition: Condition) -> Callable[[Array, Array], tuple[Array, Array]]:
    """Compiles a condition for batches of `size` images: (images uint8, classes) to the fields of an `Outcome`."""
    bare, given = (condition.func, condition.keywords) if isinstance(condition, partial) else (condition, {})
    return over(model, size, _judged, condition=bare, given=tuple(sorted(given.items())))


def _judged(model: Network, images: Array, truth: Array, *, condition: Condition, given: tuple) -> tuple[Array, Array]:
    return judged(condition(model, images, **dict(given)), truth)
