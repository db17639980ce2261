"""Images, how a model wants them and, where known, their classes: what an analysis works on."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from vitjax.data.annotations.labels import labelled
from vitjax.data.files.images import Images, open_images
from vitjax.data.pipeline import Batches, Change, Progress
from vitjax.errors import InputError
from vitjax.models.core.class_names import NAMELESS, ClassNames
from vitjax.models.core.network import Network
from vitjax.models.registry import Config
from vitjax.ranges import COUNT

log = logging.getLogger("vitjax")


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
        class_names: what the model's classes are called.
        counted: {"classes": where they come from and how they were counted}, once any pass had need of them.

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
    class_names: ClassNames = NAMELESS
    counted: dict[str, str] = field(default_factory=dict)

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
        """The class of each image, int [image]; raises InputError where nothing says it, or it is in doubt.

        How they were counted is said in a line, as a warning where it was by the order of names alone.
        """
        found = labelled(self.images, self.config.classes, self.listed, self.class_names)
        if self.counted.get("classes") != found.said:
            self.counted["classes"] = found.said
            log.log(logging.WARNING if found.guessed else logging.INFO, "classes: %s", found.said)
        return found.numbers

    def labels_for(self, model: Network) -> np.ndarray:
        """The class of each image as a model's head counts them: by the names of its own classes, if they have any.

        Else by the names that the data set was opened with, unless these are of a head of another size.
        """
        named = getattr(model, "class_names", NAMELESS)  # of somebody else's making a model need not have any
        names = named or (self.class_names if len(self.class_names) == model.config.classes else NAMELESS)
        if (names, model.config.classes) == (self.class_names, self.config.classes):
            return self.labels
        return replace(self, config=model.config, class_names=names).labels

    def describe(self) -> dict[str, object]:
        """What a record of results says about the data, once they are measured."""
        left = Counter(self.images.left_out.values())  # how many for which reason: masks beside images may be as many
        about = {"data": self.images.source, "images": len(self.images), "unreadable": dict(self.unreadable)}
        return about | self.counted | ({"left_out": dict(left)} if left else {})


def open_dataset(
    source: str | Path | Sequence[Any],
    config: Config | Network,
    *,
    split: str | None = None,
    limit: int | None = None,
    batch: int = 32,
    listed: Path | None = None,
) -> Dataset:
    """Opens `source` (a path, or a list of arrays or of Pillow's images: see `open_images`) for a model or its config.

    `limit` keeps that many images, evenly spaced. Of a model, the names of its classes are known: images in folders are
    counted by them. (An analysis asks the model that it is given, see `Dataset.labels_for`.)

    Raises:
        InputError: see `open_images` and `Dataset`.
    """
    names, config = (config.class_names, config.config) if isinstance(config, Network) else (NAMELESS, config)
    return Dataset(open_images(source, split).some(limit), config, batch, listed, class_names=names)
