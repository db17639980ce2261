"""Runs several models side by side over the same images, each of which sees them as it wants them."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import numpy as np
from jaxtyping import Int, PyTree

from vitjax.analysis.study.passes import AHEAD, over
from vitjax.data.dataset import Dataset
from vitjax.data.pipeline import Progress
from vitjax.models.core.network import Network
from vitjax.models.core.preprocess import Input


@dataclass(frozen=True, eq=False)
class Side:
    """A model and what is asked of it.

    Attributes:
        model: it.
        function: (model, images, **options) to a pytree of arrays with the images first, as `passes.over` takes it.
        options: of the function, which have hashes.
        input: how it sees the images; default as its config says.
        order: the places of the images that it sees in place of 0, 1, 2, …, so that sides see other images; a control.
    """

    model: Network
    function: Callable[..., PyTree]
    options: Mapping[str, Any] = field(default_factory=dict)
    input: Input | None = None
    order: Int[np.ndarray, " image"] | None = None


def side_by_side(
    sides: Sequence[Side], data: Dataset
) -> Iterator[tuple[Int[np.ndarray, " image"], list[PyTree[np.ndarray]]]]:
    """Goes through this host's part of the images, batch by batch; those that one of the models cannot read are left
    out.

    Images are prepared once for all models that see them alike.

    Yields:
        The images' places in the data set, as the first side sees them, and what each function gives for them.
    """
    views = [(side.input or Input.of(side.model), None if side.order is None else id(side.order)) for side in sides]
    orders = {view: side.order for view, side in zip(views, sides, strict=True)}
    runs = [over(side.model, data.batch, side.function, **side.options) for side in sides]
    silent = lambda batches, total: batches
    passes = [
        _seen(data, input, order, silent if number else data.progress).batches()
        for number, ((input, _), order) in enumerate(orders.items())
    ]
    waiting: deque = deque()
    for batches in zip(*passes, strict=True):
        place = np.min([batch.place for batch in batches], axis=0)  # -1 where one could not be read
        place = np.where(place < 0, -1, batches[0].place)
        seen = dict(zip(orders, batches, strict=True))
        waiting.append((place, [run(seen[view].images) for run, view in zip(runs, views, strict=True)]))
        if len(waiting) > AHEAD:
            yield _fetched(*waiting.popleft())
    while waiting:
        yield _fetched(*waiting.popleft())


def _seen(data: Dataset, input: Input, order: np.ndarray | None, progress: Progress) -> Dataset:
    images = data.images if order is None else data.images.take(order)
    return replace(data, config=input, images=images, progress=progress)


def _fetched(place: np.ndarray, found: list[PyTree]) -> tuple[np.ndarray, list[PyTree]]:
    there = place >= 0
    return place[there], [jax.tree.map(lambda values: np.asarray(values)[there], one) for one in found]
