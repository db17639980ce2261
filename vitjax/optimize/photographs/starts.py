"""Pictures that begin with photographs: these as a model takes them, which goal begins with which, what records say."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from vitjax.data.dataset import open_dataset
from vitjax.errors import InputError
from vitjax.models.core.network import Network
from vitjax.optimize.goals.objective import Goal
from vitjax.optimize.recipes import Recipe


@dataclass(frozen=True)
class Photographs:
    """Photographs as a model takes them.

    Attributes:
        images: uint8 [photograph, h, w, color].
        names: of the files.
    """

    images: UInt8[np.ndarray, "photograph h w color"]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    def card(self, place: int) -> dict[str, str]:
        """What records say of one: its name, and a hash of its pixels as the model takes them."""
        return {"image": self.names[place], "sha256": hashlib.sha256(self.images[place].tobytes()).hexdigest()}


def photographs(model: Network, source: Any) -> Photographs:
    """Reads photographs, each resized and cut as the model's preprocessing says.

    Args:
        model: that they are for.
        source: as for `vitjax.data.files.open.open_images`: a file, a folder, a zip, arrays, or images of Pillow's, of
            which one alone will do.

    Raises:
        InputError: there is no image, or one that cannot be read.
    """
    alone = isinstance(source, Image.Image) or (hasattr(source, "ndim") and source.ndim in (2, 3))
    data = open_dataset([source] if alone else source, model)
    batches = list(data.batches())
    if data.unreadable:
        name, why = next(iter(data.unreadable.items()))
        raise InputError(f"{name} cannot be read: {why}")
    images = np.concatenate([batch.images[batch.place >= 0] for batch in batches])
    return Photographs(images, tuple(PurePosixPath(name).name for name in data.images.names))


@dataclass(frozen=True)
class Beginnings:
    """The photographs that pictures begin with: one for all goals, or one for each of as many."""

    photographs: Photographs
    goals: tuple[Goal, ...]

    def __post_init__(self):
        if len(self.photographs) not in (1, len(self.goals)):
            raise InputError(
                f"{len(self.goals)} pictures begin with {len(self.photographs)} photographs: give one, or as many"
            )

    def place(self, goal: Goal) -> int:
        """Which photograph a goal, or a variant of it, begins with."""
        if len(self.photographs) == 1:
            return 0
        return self._places[str(replace(goal, variant=0))]

    def __call__(self, goals: Sequence[Goal]) -> UInt8[np.ndarray, "slot h w color"]:
        """The photographs of goals, as `vitjax.optimize.visualize.paint` takes them."""
        return self.photographs.images[[self.place(goal) for goal in goals]]

    def cards(self, goals: Sequence[Goal]) -> list[dict[str, str]]:
        """What records say of the photographs of goals."""
        return [self.photographs.card(self.place(goal)) for goal in goals]

    @property
    def _places(self) -> dict[str, int]:
        return {str(replace(goal, variant=0)): place for place, goal in enumerate(self.goals)}


def whole(recipe: Recipe) -> Recipe:
    """The recipe with all its stages at the whole size: a smaller one would begin without a photograph's detail.

    Raises:
        InputError: it writes pictures in a way that cannot hold a photograph.
    """
    if recipe.parametrization == "maco":
        raise InputError("recipe: 'maco' keeps the phases of a photograph alone; use parametrization=fourier or pixels")
    return replace(recipe, stages=tuple(replace(stage, size=1.0) for stage in recipe.stages))
