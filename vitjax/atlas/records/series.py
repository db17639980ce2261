"""Plans the batches of a series of pictures, and keeps the pictures and what is known of them in a store."""

import hashlib
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, UInt8

from vitjax.atlas.store.store import MEND, PictureArray, Store
from vitjax.errors import InputError
from vitjax.models.core.vocabulary import split_tap
from vitjax.optimize.recipes import Recipe
from vitjax.optimize.schedule.batches import Batch, batches_of
from vitjax.optimize.workers import Painted
from vitjax.units.units import Unit

_NUMBERED = re.compile(r"(\d{6})\.json")
FIRST = ("embed", "stem", "stem.pre")  # what lies before all stages and blocks
POINTS = 40  # of a picture's history that are kept: means over equal stretches of steps


@dataclass(frozen=True)
class Record:
    """What is read again of a batch's record: a value for each picture, and the sha256 of the pictures' bytes."""

    units: list[str]
    activation: list[float]
    history: list[list[float]]
    sha256: str


@dataclass(frozen=True)
class Series:
    """One picture for each of some units, all made alike.

    Attributes:
        key: its name in the store.
        recipe, seed: how the pictures are made.
        units: what they are of.
        slots: pictures optimised together on one device.
        size: height and width of the pictures.
    """

    key: str
    recipe: Recipe
    seed: int
    units: Sequence[Unit]
    slots: int
    size: tuple[int, int]

    @cached_property
    def batches(self) -> list[Batch]:
        """The plan: batches of one tap each, those that take longest first."""
        return batches_of(sorted(self.units, key=lambda unit: _depth(unit.tap), reverse=True), self.slots)

    def array(self, store: Store) -> PictureArray:
        """Opens the array of pictures: those of batch n lie in rows n * slots and following."""
        return store.pictures(self.array_key, len(self.batches) * self.slots, self.size, self.slots)

    @property
    def array_key(self) -> str:
        """Where the array of pictures is."""
        return f"pictures/{self.key}"

    def record_key(self, number: int) -> str:
        """Names the key of a batch's record: it is written after the pictures, so what has a record is there."""
        return f"batches/{self.key}/{number:06d}.json"

    def card_key(self, number: int) -> str:
        """Names the key of the report cards of a batch."""
        return f"cards/{self.key}/{number:06d}.json"

    def done(self, store: Store, kind: str = "batches") -> set[int]:
        """Lists the numbers of the batches that have a record, or with kind "cards" report cards."""
        prefix = f"{kind}/{self.key}/"
        return {int(match[1]) for key in store.keys(prefix) if (match := _NUMBERED.fullmatch(key[len(prefix) :]))}

    def write(self, store: Store, array: PictureArray, painted: Painted, made: Mapping[str, str]) -> None:
        """Puts a finished batch into the store: the pictures, then the record."""
        pictures = painted.pictures
        array.write(painted.batch.number, pictures.images)
        record = {
            "units": list(map(str, pictures.units)),
            "activation": [float(value) for value in pictures.activation],
            "history": _thinned(pictures.history["activation"]),
            "sha256": digest(pictures.images),
            "slots": pictures.batch,
            "device": painted.device,
            "seconds": round(painted.seconds, 3),
            "looping": round(painted.looping, 3),
            "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "made": dict(made),
        }
        store.write_json(self.record_key(painted.batch.number), record)

    def record(self, store: Store, batch: Batch) -> Record:
        """Reads a batch's record.

        Raises:
            InputError: it is missing, damaged, or speaks of other units.
        """
        record = store.read_json(key := self.record_key(batch.number), Record)
        if record is None:
            raise InputError(f"{key} in {store.address} is missing")
        if record.units != list(map(str, batch.goals)):
            raise store.damaged(key, "it is of other units")
        points, lengths = min(POINTS, self.recipe.steps), set(map(len, record.history))
        thinned = lengths == {points} or (
            self.recipe.stages and len(lengths) == 1 and lengths <= {*range(1, POINTS + 1)}
        )
        if len(record.activation) != len(record.units) or len(record.history) != len(record.units) or not thinned:
            raise store.damaged(key, "it has not a value for each picture")
        return record

    def pictures(self, store: Store, batch: Batch) -> tuple[UInt8[np.ndarray, "picture h w 3"], Record]:
        """Reads a batch's pictures and record.

        Raises:
            InputError: they are damaged, missing, or not those that were written.
        """
        record = self.record(store, batch)
        images = store.existing(self.array_key).read(batch.number, len(batch.goals))
        if digest(images) != record.sha256:
            raise InputError(
                f"batch {batch.number} of {self.key} in {store.address} does not match its checksum; {MEND}"
            )
        return images, record

    def places(self) -> Iterator[tuple[Unit, Batch, int]]:
        """Gives each unit with its batch and slot."""
        for batch in self.batches:
            for slot, unit in enumerate(batch.goals):
                yield unit, batch, slot


def digest(images: UInt8[np.ndarray, "picture h w 3"]) -> str:
    """Computes the sha256 of pictures' bytes."""
    return hashlib.sha256(np.ascontiguousarray(images).tobytes()).hexdigest()


def _depth(tap: str) -> list[int]:
    """Says how deep a tap lies: the numbers of its stage and its block; taps of neither stand before all, or after."""
    stage, block, name = split_tap(tap)
    numbers = [number for number in (stage, block) if number is not None]
    return numbers or [-1 if name in FIRST else 10**6]


def _thinned(history: Float[np.ndarray, "picture step"]) -> list[list[float]]:
    parts = np.array_split(history, min(POINTS, history.shape[1]), axis=1)
    return [[float(f"{value:.5g}") for value in row] for row in np.stack([part.mean(axis=1) for part in parts], axis=1)]
