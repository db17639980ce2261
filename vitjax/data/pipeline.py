"""Reads images in batches for the device: decoded and prepared by several threads, ahead of the model.

The order is fixed and every batch has the same shape. What cannot be read is left out, named and counted.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from threading import Lock
from typing import NamedTuple

import numpy as np
from jaxtyping import Int, UInt8
from PIL import Image

from vitjax.data.files.images import Images
from vitjax.data.files.prints import Changed
from vitjax.data.prepare import decode, prepare, size
from vitjax.errors import InputError
from vitjax.models.core.preprocess import Input

_LARGE = 2**24  # pixels; of larger images one at a time is in memory
_ALONE = Lock()

# Changes an image before it is resized: (name, RGB pixels uint8 [h, w, 3]) to pixels of the same shape.
Change = Callable[[str, UInt8[np.ndarray, "h w 3"]], UInt8[np.ndarray, "h w 3"]]


class Batch(NamedTuple):
    """Images as the model takes them, and the place of each in `Images.names`.

    The place is -1 where a row holds no image: the last batch is filled up, and an unreadable image leaves its row
    black. Leave those rows out of every result.
    """

    place: Int[np.ndarray, " image"]
    images: UInt8[np.ndarray, "image h w color"]


class Extent(int):
    """How many batches a pass has; with the images that they hold, and the pass's name, empty if it is the only one."""

    images: int
    name: str

    def __new__(cls, batches: int, images: int, name: str = ""):
        """The number of batches, with what else is known of them."""
        made = super().__new__(cls, batches)
        made.images, made.name = images, name
        return made


Progress = Callable[[Iterable[Batch], Extent], Iterable[Batch]]


@dataclass
class Batches:
    """Batches of `size` images, in order; iterate over it as often as you like.

    Attributes:
        images: what to read.
        config: the model's, or its `Input`, which says how images are prepared.
        size: images in a batch.
        change: something done to each image before it is resized, e.g. a mask of its objects.
        shard: (i, n) reads every n-th image from the i-th on, for the i-th of n hosts.
        start: batches to skip, to go on where a run was stopped.
        progress: wraps the batches, of which it is told the `Extent`, e.g. in a progress bar.
        unreadable: {name: reason}, filled while reading.
        name: of the pass, where there are several.
    """

    images: Images
    config: Input
    size: int
    change: Change | None = None
    shard: tuple[int, int] = (0, 1)
    start: int = 0
    progress: Progress = lambda batches, total: batches
    unreadable: dict[str, str] = field(default_factory=dict)
    name: str = ""

    def __post_init__(self):
        self.config = Input.of(self.config)
        if self.size < 1:
            raise InputError(f"a batch of {self.size} images: it must have 1 or more")
        if not 0 <= self.shard[0] < self.shard[1]:
            raise InputError(f"shard {self.shard[0]} of {self.shard[1]}: they are counted from 0")

    @property
    def places(self) -> range:
        """The places of this shard's images."""
        return range(self.shard[0], len(self.images), self.shard[1])

    def __len__(self) -> int:
        return max(0, -(-len(self.places) // self.size) - self.start)

    def __iter__(self) -> Iterator[Batch]:
        images = len(self.places[self.start * self.size :])
        return iter(self.progress(self._read(), Extent(len(self), images, self.name)))

    def _read(self) -> Iterator[Batch]:
        places = self.places[self.start * self.size :]
        if not len(places):
            return
        import grain  # which imports JAX

        threads = max(2, os.cpu_count() or 1)
        options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=2 * max(self.size, threads))
        data = grain.MapDataset.source(_Records(places, self.images, self.config, self.change))
        data = data.to_iter_dataset(options).batch(self.size, batch_fn=self._collate)
        found = 0
        with closing(iter(data)) as batches:  # a loop that is left early stops the threads
            for batch, unreadable in batches:
                self.unreadable.update(unreadable)
                found += int((batch.place >= 0).sum())
                yield batch
        if not found and not self.start:
            name, reason = next(iter(self.unreadable.items()))
            raise InputError(f"none of {len(places)} images in {self.images.source} is readable, e.g. {name}: {reason}")

    def _collate(self, records: Sequence["_Record"]) -> tuple[Batch, dict[str, str]]:
        place = np.full(self.size, -1, np.int32)
        pixels = np.zeros((self.size, *self.config.image_size, self.config.channels), np.uint8)
        for row, record in enumerate(records):
            if record.pixels is not None:
                place[row], pixels[row] = record.place, record.pixels
        return Batch(place, pixels), {r.name: r.reason for r in records if r.pixels is None}


class _Record(NamedTuple):
    place: int
    name: str
    pixels: np.ndarray | None
    reason: str = ""


@dataclass(frozen=True)
class _Records:
    """The prepared images by number, as grain wants its source."""

    places: range
    images: Images
    config: Input
    change: Change | None

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, number: int) -> _Record:
        place = self.places[number]
        name = self.images.names[place]
        try:
            data = self.images.read(place)
            width, height = size(data)
            turn = _ALONE if width * height > _LARGE else nullcontext()
        except Changed:
            raise
        except (InputError, OSError) as error:
            return _Record(place, name, None, str(error))
        with turn:
            try:
                image = decode(data, self.config.channels)
            except InputError as error:
                return _Record(place, name, None, str(error))
            image = changed(image, name, self.change)
            try:
                return _Record(place, name, prepare(image, self.config))
            except InputError as error:  # one that the checkpoint's processor neither resizes nor cuts to its size
                return _Record(place, name, None, str(error))


def pixels(images: Images, places: Sequence[int], config: Input) -> UInt8[np.ndarray, "image h w color"]:
    """Reads the images at these places, in this order, as the model sees them: a few, to be shown.

    Raises:
        InputError: one of them cannot be read.
    """
    config = Input.of(config)
    return np.stack([_shown(images, int(place), config) for place in places])


def _shown(images: Images, place: int, config: Input) -> UInt8[np.ndarray, "h w color"]:
    data = images.read(place)
    try:
        return prepare(decode(data, config.channels), config)
    except InputError as error:
        raise InputError(f"{images.names[place]}: {error}") from None


def changed(image: Image.Image, name: str, change: Change | None) -> Image.Image:
    """Applies `change` to the image, if there is one."""
    return image if change is None else Image.fromarray(change(name, np.asarray(image)))
