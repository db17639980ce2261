"""Trains a dictionary of a model's tap, from images to a folder that `vitjax.load(dictionaries=)` takes."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import numpy as np

from vitjax.data.files.images import Images, checksum
from vitjax.errors import AGAIN, InputError
from vitjax.files import write_whole
from vitjax.models.core.network import Network
from vitjax.models.core.preprocess import Input
from vitjax.models.dictionaries.dictionary import Dictionary
from vitjax.train.dictionaries.coder import Coder, finished
from vitjax.train.dictionaries.dictionary_program import State, program
from vitjax.train.dictionaries.kinds import BY_NAME
from vitjax.train.dictionaries.threshold import MOST
from vitjax.train.dictionaries.tokens import counted
from vitjax.train.feed.feed import Feed
from vitjax.train.feed.views import Views
from vitjax.train.looks import here
from vitjax.train.loop.mesh import mesh
from vitjax.train.run import FINISHED, carried_out
from vitjax.train.settings import AUTO, DictionarySettings, Running
from vitjax.weights import parameters
from vitjax.weights.dictionaries.ours import save_dictionary
from vitjax.weights.dtypes import suited

EIGHTH = 8  # images of a step are a multiple of it, and the buffer has at most such a part of all tokens
RESULT = "dictionary"  # the folder of what came of it
AS_IS = Views(least_crop=1.0, mirror=False)


@dataclass(frozen=True)
class Later:
    """Batches after the first ones, which went into the buffer."""

    feed: Feed
    first: int

    def begin(self, step: int = 0) -> Iterator[dict[str, np.ndarray]]:
        """Yields the batches from a step on."""
        return self.feed.begin(self.first + step)


@dataclass(frozen=True)
class DictionaryTraining:
    """A dictionary that is trained, and on what.

    Attributes:
        model: whose tap it is; it stays as it is.
        tap: whose values are taken apart.
        settings: of the training.
        images: that the model sees, each as its own preprocessing shows it, in epochs of an order of their own.
        source: what the model is called.

    Raises:
        InputError: no such tap, or none with such tokens; more numbers in a step than are counted.
    """

    model: Network
    tap: str
    settings: DictionarySettings
    images: Images
    source: str = ""
    name = "dictionary"
    called = "tokens"

    def __post_init__(self):
        if BY_NAME[self.settings.kind].batched and self.tokens * self.settings.width >= MOST:
            raise InputError(
                f"{self.tokens} tokens of a step have {self.tokens * self.settings.width:.3g} latents, more than"
                f" {self.settings.kind} counts: give a smaller --batch"
            )

    @cached_property
    def each(self) -> int:
        """How many tokens an image has."""
        return counted(self.model, self.tap, self.settings.where)

    @property
    def batch(self) -> int:
        """How many images a step sees."""
        return EIGHTH * max(1, round(self.settings.batch / self.each / EIGHTH))

    @property
    def tokens(self) -> int:
        """How many tokens a step sees."""
        return self.batch * self.each

    @property
    def depth(self) -> int:
        """How many steps' tokens wait in the buffer."""
        most = min(self.settings.buffer, self.settings.tokens / EIGHTH)
        return max(1, round(most / self.tokens))

    @property
    def steps(self) -> int:
        """How many there are."""
        return max(1, math.ceil(self.settings.tokens / self.tokens))

    @property
    def pace(self) -> Mapping[str, int]:
        """How many images and tokens a step sees."""
        return {"images": self.batch, "tokens": self.tokens}

    def epoch(self, step: int) -> float:
        """How many passes over the images so many steps are, and the filling of the buffer."""
        return (self.depth + step) * self.batch / len(self.images)

    def feed(self) -> Later:
        """The batches of the steps."""
        return Later(self._all, self.depth)

    def first(self) -> Iterator[dict[str, np.ndarray]]:
        """The batches that fill the buffer."""
        return replace(self._all, steps=self.depth).begin()

    def identity(self) -> dict[str, Any]:
        """All that decides what is learned."""
        model = {"name": self.source, "weights": parameters.digest(self.model)[:16], "tap": self.tap}
        data = {"images": len(self.images), "names": checksum(self.images.names)}
        return {"training": self.name, "dictionary": asdict(self.settings), "model": model, "data": data}

    @property
    def _all(self) -> Feed:
        shard = jax.process_index(), jax.process_count()
        return Feed(
            self.images, Input.of(self.model.config), self.batch, self.depth + self.steps, views=AS_IS,
            seed=self.settings.seed, shard=shard,
        )  # fmt: skip


@dataclass(frozen=True)
class Learned:
    """What a dictionary that was trained here says of where it came from."""

    trainer: str
    model: Mapping[str, str]
    data: Mapping[str, Any]
    settings: Mapping[str, Any]


def train_dictionary(training: DictionaryTraining, out: Path, running: Running) -> int:
    """Trains, or goes on with what is in the folder, and writes the dictionary; gives the exit code.

    Args:
        training: what is trained.
        out: the folder of the run.
        running: how.

    Raises:
        InputError: as of `vitjax.train.run.run`.
    """
    devices = mesh(training.batch)
    settings = training.settings
    dtype = suited(jax.local_devices()[0]) if settings.dtype == AUTO else settings.dtype
    shape = (training.tokens, training.depth, training.model.taps()[training.tap].shape[-1])
    made = program(training.model, training.tap, settings, dtype, shape, training.steps, devices, training.first())

    def written(state: State, *_: object) -> dict[str, float]:
        coder = here(state.coder, devices)
        if jax.process_index() == 0:
            save_dictionary(result(training, coder), out / RESULT)
        return {}

    state = carried_out(training, made, devices, out, running, written)
    if state is None:
        return AGAIN
    written(state)
    if jax.process_index() == 0:
        about = {"training": training.name, "steps": training.steps, "tokens": training.steps * training.tokens}
        about |= {"images_of_a_step": training.batch, "tokens_of_an_image": training.each}
        write_whole(out / FINISHED, (json.dumps(about, indent=1) + "\n").encode())
        print(f"dictionary: {out / RESULT}")
    return 0


def result(training: DictionaryTraining, coder: Coder) -> Dictionary:
    """The dictionary that came of a training."""
    about = training.identity()
    card = Learned("vitjax dictionary train", about["model"], about["data"], about["dictionary"])
    return finished(coder, training.settings, training.tap, card)
