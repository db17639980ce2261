"""Says what is trained, on what: all that a run needs to know."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import jax
import numpy as np
import optax

from vitjax.data.files.images import Images, checksum
from vitjax.models.core.class_names import NAMELESS, ClassNames
from vitjax.models.core.network import Network
from vitjax.models.core.preprocess import Input
from vitjax.models.registry import Config
from vitjax.train.feed.feed import Feed
from vitjax.train.feed.made import Made, MadeFeed
from vitjax.train.feed.views import Views
from vitjax.train.settings import Settings
from vitjax.train.task import Task
from vitjax.weights import parameters
from vitjax.weights.cache import described
from vitjax.weights.publish.converted import export


class Course(Protocol):
    """What a run asks of that which it carries out.

    Attributes:
        name: of the command.
        steps: how many there are.
        called: what a person calls that which it learns from.
        pace: how many images a step sees, and perhaps other things, {name: count}; the last are `called`.
    """

    name: str
    steps: int
    called: str
    pace: Mapping[str, int]

    def feed(self) -> Any:
        """The batches: `begin(step)` yields them from a step on."""

    def epoch(self, step: int) -> float:
        """How many passes over the images so many steps are."""

    def identity(self) -> dict[str, Any]:
        """All that decides what is learned."""


@dataclass(frozen=True)
class Training:
    """What is trained, on what.

    Attributes:
        name: of the command, e.g. "pretrain".
        task: what is learned.
        config: of the model; says how images are prepared.
        settings: of the training.
        images: what there is: photographs, or examples of another kind that are made by number.
        arrays: what else is known of each image, [image, …], by the names that batches have them by: "labels".
        about: what else decides what is learned, as JSON has it.
        given: the model to begin with, in place of the task's at random.
        class_names: of the model's head.
        measure: what is said of a model, on the way and at the end, e.g. its accuracy.
        export: writes the model that came of it into a folder; default as `vitjax.load` takes it.
        optimizer: of what is learned; default `vitjax.train.loop.optimizer`, as the settings say.
    """

    name: str
    task: Task
    config: Config
    settings: Settings
    images: Images | Made
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)
    given: Network | None = None
    class_names: ClassNames = NAMELESS
    measure: Callable[[Network], Mapping[str, float]] | None = None
    export: Callable[[Network, Path], None] = export
    optimizer: optax.GradientTransformation | None = None

    @property
    def steps(self) -> int:
        """How many there are."""
        return self.settings.steps(len(self.images))

    @property
    def called(self) -> str:
        """What a person calls that which it learns from."""
        return "examples" if isinstance(self.images, Made) else "images"

    @property
    def pace(self) -> Mapping[str, int]:
        """How many images a step sees."""
        return {"images": self.settings.batch}

    def epoch(self, step: int) -> float:
        """How many passes over the images so many steps are."""
        return step * self.settings.batch / len(self.images)

    def feed(self) -> Feed | MadeFeed:
        """The batches."""
        chosen, here = self.settings, (jax.process_index(), jax.process_count())
        if isinstance(self.images, Made):
            return MadeFeed(self.images, chosen.batch, self.steps, chosen.seed, here)
        views = Views(chosen.least_crop, chosen.mirror, chosen.randaugment, chosen.jitter, chosen.erase)
        how = {"views": views, "repeats": chosen.repeats, "seed": chosen.seed}
        return Feed(self.images, Input.of(self.config), chosen.batch, self.steps, self.arrays, shard=here, **how)

    def identity(self) -> dict[str, Any]:
        """All that decides what is learned."""
        made = isinstance(self.images, Made)
        images = {"images": len(self.images)} | (
            dict(self.images.about) if made else {"names": checksum(self.images.names)}
        )
        images |= {name: checksum([*map(str, array.ravel())]) for name, array in self.arrays.items()}
        model = {"kind": type(self.config).__name__, "config": described(self.config)}
        if self.given is not None:
            model |= {"weights": parameters.digest(self.given)[:16]}
        return {"training": self.name, "settings": asdict(self.settings), "model": model, "data": images, **self.about}
