"""Runs images through a model and one of its dictionaries, and keeps the sums that measures are made of."""

from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jaxtyping import Array, Float, Int

from vitjax.analysis.dictionaries.dictionary_measures import TINY, Sums
from vitjax.analysis.study.passes import Pace, over
from vitjax.data.dataset import Dataset
from vitjax.models.core.network import Network
from vitjax.models.core.tap_site import Site
from vitjax.models.dictionaries.dictionary import Dictionary

BEST = 16  # images of a latent whose sets are compared
PARTS = ("error", "spread", "inner", "length", "cosine", "share")  # of `Sums`, that are one number
Best = tuple[Int[np.ndarray, "latent k"], Float[np.ndarray, "latent k"]]


def passed(
    model: Network, data: Dataset, tap: str, labels: Int[np.ndarray, " image"] | None
) -> tuple[Sums, Float[np.ndarray, " 4"], Best, int]:
    """Gives a dictionary's sums over all images, mean losses, and the best images of each latent.

    Args:
        model: with the dictionary.
        data: the images.
        tap: of the dictionary's latents.
        labels: of the images; None for a loss without classes, see `dictionary_score`.

    Returns:
        The sums; the loss of the model as it is, with x^ for x, with x set to zero, and to its mean; the places of the
        images with the highest sums of each latent with these sums, 0 where it has no more; how many images there were.
    """
    one = of(model, tap)
    total, tokens = np.zeros(one.channels), 0
    for _, (whole, count) in _batches(model, data, _totals, tap=tap):
        total += whole.sum(axis=0, dtype=np.float64)
        tokens += int(count.sum())
    mean = np.broadcast_to((total / tokens).astype(np.float32), (data.batch, one.channels))
    numbers, losses, images = dict.fromkeys(PARTS, 0.0), np.zeros(4), 0
    active, value = np.zeros((2, one.width))
    best = np.full((one.width, BEST), -1), np.zeros((one.width, BEST), np.float32)
    for place, part in _batches(model, data, _measured, labels, mean, tap=tap, classes=labels is not None):
        for name in PARTS:
            numbers[name] += float(part[name].sum(dtype=np.float64))
        active += part["active"].sum(axis=0, dtype=np.float64)
        value += part["value"].sum(axis=0, dtype=np.float64)
        losses += part["losses"].sum(axis=0, dtype=np.float64)
        best, images = _better(*best, place, part["value"].T), images + len(place)
    return Sums(tokens, **numbers, active=active, value=value), losses / images, best, images


def of(model: Network, tap: str) -> Dictionary:
    """The dictionary of a model whose latents are this tap."""
    return next(one for one in model.dictionaries if one.taps[1] == tap)


def _batches(
    model: Network,
    data: Dataset,
    function: Callable,
    labels: Int[np.ndarray, " image"] | None = None,
    mean: np.ndarray | None = None,
    **options: object,
) -> Iterator[tuple[np.ndarray, object]]:
    """Places of readable images and what a function gives of them, batch by batch."""
    run, pace, waiting = over(model, data.batch, function, **options), Pace(), []
    for batch in data.batches():
        label = np.zeros(len(batch.place), np.int32) if labels is None else labels[batch.place].astype(np.int32)
        waiting.append((batch.place, pace(run(batch.images, *(() if mean is None else (label, mean))))))
        while len(waiting) > 1:
            yield _there(*waiting.pop(0))
    for rest in waiting:
        yield _there(*rest)


def _there(place: np.ndarray, result: object) -> tuple[np.ndarray, object]:
    return place[place >= 0], jax.tree.map(lambda x: np.asarray(x)[place >= 0], result)


def _totals(model: Network, images: Array, *, tap: str) -> tuple[Array, Array]:
    one = of(model, tap)
    x, meant = _tokens(model(images, [one.form.tap])[one.form.tap], model.taps()[one.form.tap], one)
    return jnp.sum(jnp.where(meant[:, None], x, 0), axis=1), jnp.full(len(x), meant.sum())


def _measured(model: Network, images: Array, label: Array, mean: Array, *, tap: str, classes: bool) -> dict[str, Array]:
    one = of(model, tap)
    host, output = one.form.tap, "logits" if classes else model.output
    value = model(images, [host, output])
    x, meant = _tokens(value[host], model.taps()[host], one)

    def image(given: tuple[Array, Array]) -> tuple[Array, dict[str, Array]]:
        x, mean = given
        z = jnp.where(meant[:, None], one.activate(one.encode(x)), 0)
        again = one.decode(z, x)
        over_tokens = lambda values: jnp.sum(jnp.where(meant, values, 0))
        inner, length = jnp.sum(x * again, axis=1), jnp.sum(again**2, axis=1)
        norms = jnp.sqrt(jnp.sum(x * x, axis=1) * length)
        error, spread = (jnp.sum((x - other) ** 2, axis=1) for other in (again, mean))
        return again, {
            "error": over_tokens(error),
            "spread": over_tokens(spread),
            "share": over_tokens(error / jnp.maximum(spread, TINY)),
            "inner": over_tokens(inner),
            "length": over_tokens(length),
            "cosine": over_tokens(inner / jnp.where(norms == 0, jnp.inf, norms)),
            "active": jnp.sum(z != 0, axis=0).astype(jnp.float32),
            "value": jnp.sum(z, axis=0),
        }

    again, found = lax.map(image, (x, mean))  # an image after another: latents are many
    outputs = [value[output]]
    for other in (again, jnp.zeros_like(x), jnp.broadcast_to(mean[:, None], x.shape)):
        edit = lambda before, other=other: jnp.where(meant[:, None], other, x).reshape(before.shape)
        outputs.append(model(images, [output], {host: edit})[output])
    losses = [_loss(one, outputs[0], label if classes else None) for one in outputs]
    return found | {"losses": jnp.stack(losses, axis=1)}


def _tokens(value: Array, site: Site, one: Dictionary) -> tuple[Float[Array, "image token channel"], np.ndarray]:
    """A tap's value as tokens, and which of these a dictionary is for."""
    x = value.reshape(len(value), -1, value.shape[-1])
    meant = one.meant(site.axes, site.prefix, x.shape[1])
    return x, np.ones(x.shape[1], bool) if meant is None else meant


def _loss(output: Array, whole: Array, label: Array | None) -> Float[Array, " image"]:
    if label is not None:
        return optax.softmax_cross_entropy_with_integer_labels(output, label)
    flat, as_is = (one.reshape(len(one), -1) for one in (output, whole))
    return 1 - optax.losses.cosine_similarity(flat, as_is)


def _better(place: np.ndarray, score: np.ndarray, new: np.ndarray, scores: np.ndarray) -> Best:
    """The best images so far and those of a batch, of each latent; of equal ones the first."""
    places = np.concatenate([place, np.broadcast_to(new, (len(place), len(new)))], axis=1)
    every = np.concatenate([score, scores], axis=1)
    order = np.argsort(-every, axis=1, kind="stable")[:, :BEST]
    return np.take_along_axis(places, order, 1), np.take_along_axis(every, order, 1)
