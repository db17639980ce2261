"""Gives batches of a training without end, from any step on: what a step sees depends on seed and step alone.

Neither the number of hosts nor that of threads that read changes it. So the step is all of the state that
a run has to keep of its input.
"""

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import cache
from threading import Lock

import grain
import numpy as np

from vitjax.data.files.images import Images
from vitjax.data.prepare import decode
from vitjax.errors import InputError
from vitjax.models.core.preprocess import Input
from vitjax.train.feed.views import Views

TRIED = 100  # images that may be unreadable in a row
_said, _saying = set(), Lock()
log = logging.getLogger("vitjax")


@dataclass(frozen=True)
class Feed:
    """The photographs of a training and how they are shown.

    Attributes:
        images: what there is.
        config: what the model reads.
        batch: images of a step, over all hosts.
        steps: how many there are.
        arrays: what else is known of each image, [image, …], that batches have by the same names, such as "labels".
        views: how an image is shown.
        repeats: views of each image in a batch, which stand as far from each other as can be: so on several hosts.
        seed: of order and views.
        shard: (i, n), this host's part of each batch: the i-th of n equal ones, in order.
    """

    images: Images
    config: Input
    batch: int
    steps: int
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    views: Views = field(default_factory=Views)
    repeats: int = 1
    seed: int = 0
    shard: tuple[int, int] = (0, 1)

    def __post_init__(self):
        if self.batch % self.shard[1]:
            raise InputError(f"a batch of {self.batch} images is not shared out evenly over {self.shard[1]} hosts")
        self.views.check(self.config)

    def begin(self, step: int = 0) -> Iterator[dict[str, np.ndarray]]:
        """Yields this host's part of the batches from a step on: "images" uint8, and what else is known.

        Raises:
            InputError: many images in a row are not readable.
        """
        threads = max(2, os.cpu_count() or 1)
        mine = self.batch // self.shard[1]
        if step >= self.steps:
            return
        data = grain.MapDataset.source(_Views(self, step))
        data = data.to_iter_dataset(grain.ReadOptions(num_threads=threads, prefetch_buffer_size=2 * max(mine, threads)))
        data = data.batch(mine, batch_fn=together)
        with closing(iter(data)) as batches:  # a loop that is left early stops the threads
            yield from batches


@dataclass(frozen=True)
class _Views:
    """One random view after another, as grain wants its source."""

    feed: Feed
    first: int

    def __len__(self) -> int:
        return (self.feed.steps - self.first) * (self.feed.batch // self.feed.shard[1])

    def __getitem__(self, number: int) -> dict[str, np.ndarray]:
        feed, (host, hosts) = self.feed, self.feed.shard
        step, row = divmod(number, feed.batch // hosts)
        step, row = self.first + step, host * (feed.batch // hosts) + row
        distinct = feed.batch // feed.repeats
        rng = np.random.default_rng((feed.seed, step * feed.batch + row))  # its number among all that are ever seen
        place, image = self._readable(step * distinct + row % distinct)
        known = {name: array[place] for name, array in feed.arrays.items()}
        return known | {"images": feed.views.draw(rng, image, feed.config)}

    def _readable(self, number: int):
        """The image of this number in the order of the seed; in place of one that is not readable, the next that is."""
        images = self.feed.images
        places = order(len(images), self.feed.seed)
        for later in range(number, number + TRIED):
            place = int(places[later])
            try:
                return place, decode(images.read(place), self.feed.config.channels)
            except InputError as error:
                with _saying:
                    if images.names[place] not in _said:
                        log.warning("left out: %s: %s", images.names[place], error)
                        _said.add(images.names[place])
        raise InputError(f"{TRIED} images in a row of {images.source} are not readable, the last {images.names[place]}")


@cache
def order(count: int, seed: int) -> grain.MapDataset:
    """Numbers below `count`, all of them in each epoch, in an order of the epoch's own."""
    return grain.MapDataset.range(count).seed(seed).shuffle().repeat()


def together(views: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Makes a batch of examples, by name."""
    return {name: np.stack([view[name] for view in views]) for name in views[0]}
