"""Images, how a model wants them and, where known, their classes: what an analysis works on."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from vitjax.data.images import Images, open_images
from vitjax.data.labels import labels
from vitjax.data.pipeline import Batches, Change, Progress
from vitjax.errors import InputError
from vitjax.models.kinds import Config
from vitjax.ranges import COUNT


@dataclass(frozen=True)
class Dataset:
    """A data set as one model sees it.

    Attributes:
        images: what there is.
        config: the model's.
        batch: images that go to the devices together.
        listed: a file of classes, see `labels`.
        shard: (i, n), this host's part.
        unreadable: {name: reason} of the images that any pass had to leave out.
        progress: wraps the batches of a pass, of which it is told the number, e.g. in a progress bar.

    Raises:
        InputError: fields of another type, or a batch without images.
    """

    images: Images
    config: Config
    batch: int = 32
    listed: Path | None = None
    shard: tuple[int, int] = (0, 1)
    unreadable: dict[str, str] = field(default_factory=dict)
    progress: Progress = lambda batches, total: batches

    def __post_init__(self):
        if not isinstance(self.images, Images):
            raise InputError(f"images are of type {type(self.images).__name__}: open them with open_images")
        if not isinstance(self.config, Config):
            raise InputError(f"config is of type {type(self.config).__name__}: give that of a model, model.config")
        COUNT.check("batch", self.batch)

    def batches(self, change: Change | None = None, start: int = 0) -> Batches:
        """A pass over the images, from batch `start` on, each image first changed by `change`."""
        return Batches(self.images, self.config, self.batch, change, self.shard, start, self.progress, self.unreadable)

    @cached_property
    def labels(self) -> np.ndarray:
        """The class of each image, int [image]; raises InputError where nothing says it."""
        return labels(self.images, self.config.classes, self.listed)

    def describe(self) -> dict[str, object]:
        """What a record of results says about the data, once they are measured."""
        return {"data": self.images.source, "images": len(self.images), "unreadable": dict(self.unreadable)}


def open_dataset(
    source: str | Path | Sequence[Any],
    config: Config,
    *,
    split: str | None = None,
    limit: int | None = None,
    batch: int = 32,
    listed: Path | None = None,
) -> Dataset:
    """Opens `source` (a path, or a list of arrays or of Pillow's images: see `open_images`) for a model.

    `limit` keeps that many images, evenly spaced.

    Raises:
        InputError: see `open_images` and `Dataset`.
    """
    return Dataset(open_images(source, split).some(limit), config, batch, listed)
