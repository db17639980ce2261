"""Examples that are made by number when they are wanted: what is learned from where it is no photographs."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import grain
import numpy as np

from vitjax.errors import InputError
from vitjax.train.feed.feed import order, together


@dataclass(frozen=True)
class Made:
    """Examples made by number, which stand in a training where photographs do.

    Attributes:
        make: gives an example, {name: array}, of a number below `count`: the same each time.
        count: how many there are, all of which an epoch shows, in an order of its own.
        about: what else tells them from others, as JSON has it.
    """

    make: Callable[[int], Mapping[str, np.ndarray]]
    count: int
    about: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return self.count


@dataclass(frozen=True)
class MadeFeed:
    """Batches of such examples without end, from any step on: what a step sees depends on seed and step alone.

    Attributes:
        examples: what there is.
        batch: examples of a step, over all hosts.
        steps: how many there are.
        seed: of the order.
        shard: (i, n), this host's part of each batch: the i-th of n equal ones, in order.
    """

    examples: Made
    batch: int
    steps: int
    seed: int = 0
    shard: tuple[int, int] = (0, 1)

    def __post_init__(self):
        if self.batch % self.shard[1]:
            raise InputError(f"a batch of {self.batch} is not shared out evenly over {self.shard[1]} hosts")

    def begin(self, step: int = 0) -> Iterator[dict[str, np.ndarray]]:
        """Yields this host's part of the batches from a step on."""
        host, hosts = self.shard
        mine, places = self.batch // hosts, order(len(self.examples), self.seed)
        if step >= self.steps:
            return
        threads = max(2, os.cpu_count() or 1)
        number = lambda i: (step + i // mine) * self.batch + host * mine + i % mine  # among all that are ever seen
        data = grain.MapDataset.range((self.steps - step) * mine)
        data = data.map(lambda i: self.examples.make(int(places[number(int(i))])))
        data = data.to_iter_dataset(grain.ReadOptions(num_threads=threads, prefetch_buffer_size=2 * max(mine, threads)))
        with closing(iter(data.batch(mine, batch_fn=together))) as batches:  # a loop left early stops the threads
            yield from batches
