"""Probes what a model has learned: a linear layer on its pooled features, which stay as they are, learns classes.

Each image is seen once, as the model's own preprocessing shows it. Its features are standardised by mean and spread
over the training images, channel by channel. The layer is the minimum of cross-entropy and a square penalty, which is
unique: so a probe has no rate, no schedule and no seed. The penalty is the one that does best on a tenth of the images,
which are then learned from, too.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jaxtyping import Array, Int

from vitjax.data.files.images import Images
from vitjax.errors import InputError
from vitjax.models.core.class_names import ClassNames
from vitjax.models.core.network import Network
from vitjax.models.core.surroundings import standard
from vitjax.train.initial import with_classes
from vitjax.train.kept.features import pooled

PENALTIES = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)  # from strong to weak: each begins where the one before it came to
HELD_OUT = 10  # every tenth image
STEPS = 100  # of L-BFGS


@dataclass(frozen=True)
class Probe:
    """What a probe has found.

    Attributes:
        model: with the layer as its head, the standardisation folded in.
        penalty: that was chosen.
        held_out: accuracy of each penalty on the images that were held out.
    """

    model: Network
    penalty: float
    held_out: dict[float, float]


@standard()
def probe(
    model: Network,
    images: Images,
    labels: Int[np.ndarray, " image"],
    names: ClassNames | int,
    batch: int = 100,
    kept: Path | None = None,
) -> Probe:
    """Probes a model.

    Args:
        model: whose head, if it has one, is not looked at.
        images: to learn from.
        labels: their classes.
        names: of the classes, or how many there are.
        batch: images that are seen together.
        kept: a folder that features are kept in until they are all there; none without.

    Raises:
        InputError: too few images, or a model whose head is more than one linear layer of what is pooled.
    """
    headed, shape = with_classes(model, names), model.taps()["pooled"].shape
    if shape != headed.head.kernel.shape[:1]:
        raise InputError(f"the head of this model reads {shape}, not one vector: it cannot be probed")
    _enough(len(images))
    place, features = pooled(model, images, batch, kept)
    _enough(len(features))
    features, labels, count = features.astype(np.float32), labels[place], headed.config.classes
    mean, spread = features.mean(axis=0), features.std(axis=0) + 1e-6
    features = (features - mean) / spread
    held = np.arange(len(features)) % HELD_OUT == HELD_OUT - 1
    tried, layer = {}, _zeros(features.shape[1], count)
    for penalty in PENALTIES:
        layer = _fitted(layer, features, labels, (~held).astype(np.float32), penalty)
        guess = np.asarray(features[held] @ layer["kernel"] + layer["bias"]).argmax(axis=1)
        tried[penalty] = float((guess == labels[held]).mean())
    best = max(tried, key=lambda penalty: tried[penalty])
    layer = _fitted(layer, features, labels, np.ones(len(features), np.float32), best)
    kernel = layer["kernel"] / spread[:, None]
    headed.head.kernel[...], headed.head.bias[...] = kernel, layer["bias"] - mean @ kernel
    return Probe(headed, best, tried)


def _enough(images: int) -> None:
    if images < 2 * HELD_OUT:
        raise InputError(f"{images} images are too few to probe a model with: give {2 * HELD_OUT} or more")


def _zeros(channels: int, classes: int) -> dict[str, Array]:
    return {"kernel": jnp.zeros((channels, classes)), "bias": jnp.zeros(classes)}


@partial(jax.jit, static_argnames="steps")
def _fitted(
    layer: dict[str, Array], features: Array, labels: Array, weights: Array, penalty: float, steps: int = STEPS
) -> dict[str, Array]:
    """The layer with the least loss, from one to begin with; `weights` [image] say how much each image counts."""

    def loss(layer: dict[str, Array]) -> Array:
        logits = features @ layer["kernel"] + layer["bias"]
        wrong = jnp.average(optax.softmax_cross_entropy_with_integer_labels(logits, labels), weights=weights)
        return wrong + penalty / 2 * jnp.square(layer["kernel"]).sum()

    solver, evaluate = optax.lbfgs(), optax.value_and_grad_from_state(loss)

    def step(carried: tuple, _: None) -> tuple[tuple, None]:
        layer, state = carried
        value, grad = evaluate(layer, state=state)
        updates, state = solver.update(grad, state, layer, value=value, grad=grad, value_fn=loss)
        return (optax.apply_updates(layer, updates), state), None

    return lax.scan(step, (layer, solver.init(layer)), length=steps)[0][0]
