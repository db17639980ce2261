"""Watches pictures while they are made: keeps frames, and adds up the slopes of their activations, on the device.

What is watched goes through the compiled steps with the pictures, which do not depend on it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, UInt8

from vitjax.errors import InputError, nearest
from vitjax.ranges import Range

FRAMES = Range(2, 10_000, whole=True)
# The steps of so many frames in all steps, the first before any step, the last after all.
SPACINGS: dict[str, Callable[[int, int], np.ndarray]] = {
    "even": lambda total, count: np.linspace(0, total, count),
    "log": lambda total, count: np.geomspace(1, total + 1, count) - 1,
}


@dataclass(frozen=True)
class Watch:
    """What is kept of the way to a picture.

    Attributes:
        frames: pictures on the way, the start and the finished one among them; 0 keeps none.
        spacing: of the frames: "even" in steps, or "log", most of them early, when most happens.
        alpha: whether the slopes of the activation are added up.
    """

    frames: int = 0
    spacing: str = "even"
    alpha: bool = False

    def __post_init__(self):
        if self.frames:
            object.__setattr__(self, "frames", FRAMES.check("frames", self.frames))
        if self.spacing not in SPACINGS:
            raise InputError(
                f"unknown spacing {self.spacing!r}{nearest(str(self.spacing), SPACINGS)}: one of {', '.join(SPACINGS)}"
            )

    def steps(self, total: int) -> list[int]:
        """The step of each frame; where there are few steps, several frames are of one."""
        return [round(step) for step in SPACINGS[self.spacing](total, self.frames)] if self.frames else []


NOTHING = Watch()


class Watched(NamedTuple):
    """What is kept on the device during a stage.

    Attributes:
        at: the steps before which a frame is taken, counted from the stage's first; None for no frames.
        film: the frames.
        slopes: sum over steps of |d activation / d image|, mean over colours; None where it is not kept.
    """

    at: Int[Array, " frame"] | None
    film: UInt8[Array, "frame slot h w color"] | None
    slopes: Float[Array, "slot h w"] | None

    def after(
        self, step: Array, images: Float[Array, "slot h w color"], slopes: Callable[[], Float[Array, "slot h w color"]]
    ) -> "Watched":
        """What is kept after a step.

        Args:
            step: its number.
            images: before it.
            slopes: gives the slopes of the activations by the images; called only where they are kept.
        """
        film, added = self.film, self.slopes
        if film is not None:
            here = self.at == step
            put = lambda film: film.at[jnp.argmax(here)].set(jnp.round(255 * images).astype(jnp.uint8))
            film = lax.cond(here.any(), put, lambda film: film, film)
        if added is not None:
            added = added + abs(slopes()).mean(axis=-1)
        return Watched(self.at, film, added)


class Beside:
    """Collects what is watched of one batch, stage by stage, at the size of the finished pictures."""

    def __init__(self, watch: Watch, total: int, size: tuple[int, int]):
        self.watch, self.size, self.done = watch, size, 0
        self.steps = watch.steps(total)
        self.taken: dict[int, np.ndarray] = {}
        self.slopes: np.ndarray | None = None

    def begin(self, steps: int, slots: int, size: tuple[int, int], channels: int) -> Watched | None:
        """What goes through a stage of so many steps; None where nothing is watched."""
        self.now = sorted({step for step in self.steps if self.done <= step < self.done + steps})
        at = np.array(self.now, np.int32) - self.done if self.now else None
        self.done += steps
        film = None if at is None else np.zeros((len(at), slots, *size, channels), np.uint8)
        slopes = np.zeros((slots, *size), np.float32) if self.watch.alpha else None
        return None if film is None and slopes is None else Watched(at, film, slopes)

    def end(self, watched: Watched | None) -> None:
        """Takes what a stage has left."""
        if watched is None:
            return
        for step, images in zip(self.now, () if watched.film is None else np.asarray(watched.film), strict=True):
            self.taken[step] = _resized(images / np.float32(255), self.size)
        if watched.slopes is not None:
            share = np.prod(watched.slopes.shape[1:]) / np.prod(self.size)  # a pixel is so many of the whole picture
            found = _resized(np.asarray(watched.slopes)[..., None], self.size, clip=False)[..., 0] * np.float32(share)
            self.slopes = found if self.slopes is None else self.slopes + found

    def frames(self, finished: UInt8[np.ndarray, "slot h w color"]) -> UInt8[np.ndarray, "slot frame h w color"] | None:
        """The frames in their order, the finished pictures last."""
        if not self.steps:
            return None
        bytes_of = lambda images: np.round(255 * images).astype(np.uint8)
        taken = {step: bytes_of(images) for step, images in self.taken.items()} | {self.done: finished}
        return np.stack([taken[step] for step in self.steps], axis=1)


def _resized(images: np.ndarray, size: Sequence[int], *, clip: bool = True) -> np.ndarray:
    """Images of a stage at the whole size."""
    if images.shape[1:3] == tuple(size):
        return images
    found = np.asarray(jax.image.resize(images, (len(images), *size, images.shape[3]), "cubic" if clip else "linear"))
    return np.clip(found, 0, 1) if clip else found
