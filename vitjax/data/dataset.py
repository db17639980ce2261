"""Opens what an analysis works on: images, how a model wants them and, where known, their classes."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int

from vitjax.data.annotations.labels import Labels, labelled
from vitjax.data.files.images import Images
from vitjax.data.files.open import open_images
from vitjax.data.pipeline import Batches, Change, Progress
from vitjax.errors import InputError, remark
from vitjax.models.core.class_names import NAMELESS, ClassNames
from vitjax.models.core.preprocess import Input
from vitjax.progress import images as watch
from vitjax.progress import watched
from vitjax.ranges import COUNT

if TYPE_CHECKING:  # models are made of Flax, which opening a data set need not wait for
    from vitjax.models.core.network import Network

log = logging.getLogger("vitjax")


@dataclass(frozen=True)
class Dataset:
    """A data set as one model sees it.

    Attributes:
        images: what there is.
        config: the `Input` of the model; made of what is given, the model's config or the model.
        batch: images that go to the devices together.
        listed: a file of classes, see `vitjax.data.annotations.labels`.
        shard: (i, n), this host's part.
        unreadable: {name: reason} of the images that any pass had to leave out.
        progress: wraps the batches of a pass, of which it is told the `Extent`, e.g. in a progress bar.
        class_names: what the model's classes are called; `labels_for` takes them for models that do not say theirs.
        counted: {"classes": where they come from and how they were counted}, once any pass had need of them.
        name: of the passes over it, see `named`.

    Raises:
        InputError: fields of another type, or a batch without images.
    """

    images: Images
    config: Input
    batch: int = 32
    listed: str | Path | None = None
    shard: tuple[int, int] = (0, 1)
    unreadable: dict[str, str] = field(default_factory=dict)
    progress: Progress = lambda batches, total: batches
    class_names: ClassNames = NAMELESS
    counted: dict[str, str] = field(default_factory=dict)
    name: str = ""
    _known: dict[tuple[ClassNames, int], Labels] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self):
        if not isinstance(self.images, Images):
            raise InputError(f"images are of type {type(self.images).__name__}: open them with open_images")
        object.__setattr__(self, "config", Input.of(self.config))
        COUNT.check("batch", self.batch)

    def __repr__(self) -> str:
        size = " x ".join(map(str, self.config.image_size))
        return f"Dataset({self.images!r}, seen at {size}, in batches of {self.batch})"

    def named(self, name: str) -> "Dataset":
        """The same, with a name for passes over it, where these are some of several: for whoever watches."""
        return replace(self, name=name)

    def batches(self, change: Change | None = None, start: int = 0) -> Batches:
        """Begins a pass over the images, from batch `start` on, each image first changed by `change`."""
        about = self.shard, start, self.progress, self.unreadable, self.name
        return Batches(self.images, self.config, self.batch, change, *about)

    def tell_unreadable(self, where: str = "") -> None:
        """Says in a line how many images had to be left out so far, if any, and why the first; `where` more is told."""
        if self.unreadable:
            name, reason = next(iter(self.unreadable.items()))
            many = f"{len(self.unreadable)} of {len(self.images)} images of {self.images.source}"
            remark(f"{many} could not be read and are left out{where}, e.g. {name}: {reason}")

    def labels_for(self, model: "Network") -> Int[np.ndarray, " image"]:
        """Finds the class of each image as this model's head counts them, by the names of its own classes, if any.

        A model without names takes those that the data set was opened with, unless these are of a head of another size.
        How classes were counted is said in a line, as a warning where it was by the order of names alone.

        Raises:
            InputError: nothing says the classes, or they are in doubt, see `vitjax.data.annotations.labels`; or what is
                given is no model.
        """
        if not hasattr(model, "config"):
            raise InputError(f"classes are counted for a model, not for something of type {type(model).__name__}")
        classes = model.config.classes
        named = getattr(model, "class_names", NAMELESS)  # of somebody else's making a model need not have any
        names = named or (self.class_names if len(self.class_names) == classes else NAMELESS)
        if (names, classes) not in self._known:
            self._known[names, classes] = labelled(self.images, classes, self.listed, names)
        found = self._known[names, classes]
        if self.counted.get("classes") != found.said:
            self.counted["classes"] = found.said
            log.log(logging.WARNING if found.guessed else logging.INFO, "classes: %s", found.said)
        return found.numbers

    def describe(self) -> dict[str, object]:
        """Gives what a record of results says about the data, once they are measured."""
        left = Counter(self.images.left_out.values())  # how many for which reason: masks beside images may be as many
        about = {"data": self.images.source, "images": len(self.images), "unreadable": dict(self.unreadable)}
        return about | self.counted | ({"left_out": dict(left)} if left else {})


def open_dataset(
    source: str | Path | Sequence[Any],
    config: "Network | Input",
    *,
    split: str | None = None,
    limit: int | None = None,
    batch: int | None = None,
    listed: str | Path | None = None,
) -> Dataset:
    """Opens a data set for a model: a path, or a list of arrays or of Pillow's images.

    Args:
        source, split: see `vitjax.data.files.open.open_images`.
        config: of the model whose input the images become, or the model. The names of a model's classes are kept for
            models that do not say theirs, see `Dataset.labels_for`.
        limit: take that many images, evenly spaced.
        batch: images that go to the devices together (default: `even`).
        listed: a file that says the images' classes, see `vitjax.data.annotations.labels`.

    Files that look like images and are none, such as masks beside them, are said in a line.

    Raises:
        InputError: see `open_images` and `Dataset`.
    """
    names = getattr(config, "class_names", NAMELESS)
    found = open_images(source, split)
    for line in found.beside:
        remark(line)
    images = found.some(limit)
    devices = 1
    if hasattr(config, "taps"):  # a model, and so JAX is in use
        import jax

        devices = jax.local_device_count()
    batch = even(len(images), devices) if batch is None else batch
    show = watch("") if watched() else Dataset.progress
    return Dataset(images, config, batch, listed, progress=show, class_names=names)


def even(images: int, devices: int = 1, most: int = 32) -> int:
    """Chooses how many images go to the devices together, `most` or fewer, so that the last batch is about full.

    A multiple of the number of devices, if there are as many images.
    """
    if images < devices:
        return max(1, images)
    size = -(-images // -(-images // most))
    return -(-size // devices) * devices if devices <= most else size
