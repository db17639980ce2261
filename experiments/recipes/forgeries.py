"""Makes pictures that a verdict must not be fooled by, and says which verdicts each deserves from a person.

What is forged from good pictures or photographs keeps their order: the i-th is for the i-th unit.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, UInt8
from PIL import Image, ImageDraw, ImageFont

from vitjax.analysis.ablations.frequency import distance
from vitjax.analysis.report.held_out import warp
from vitjax.models.core.network import Network
from vitjax.units.select import at_tokens, flat_index
from vitjax.units.units import Unit

Pictures = UInt8[np.ndarray, "picture h w 3"]

EMPTY, NOISE = {"dead", "faint"}, {"noise"}
STRANGER = {"weak", "strange"}  # nothing is wrong with the picture but that it is not the unit's
CLEAR = {"good", "weak", "strange", "saturated"}  # whatever it is, it is neither empty nor noise
OCTAVES = {"0.1-0.3": (0.1, 0.3), "0.15-0.48": (0.15, 0.48), "0.3-0.6": (0.3, 0.6), "0.5-1": (0.5, 1.0)}
WORDS = (
    "the quick brown fox jumps over a lazy dog while small birds sing in old trees and nobody listens to them".split()
)


@dataclass(frozen=True)
class Originals:
    """What fakes are made from: a good picture and the best photograph of each unit, at the model's size."""

    model: Network
    units: Sequence[Unit]
    pictures: Pictures
    photographs: Pictures


@dataclass(frozen=True)
class Fake:
    """A kind of fake: how it is made, and the verdicts that it deserves."""

    make: Callable[[Originals, np.random.Generator], Pictures]
    deserves: set[str]


def optimised(originals: Originals, _, bound: float, band: tuple[float, float]) -> Pictures:
    """Grey, perturbed within `bound` to move each unit: 40 steps of Adam, rolls and turns, a band of frequencies."""
    made, model = np.empty(originals.pictures.shape, np.uint8), originals.model
    taps = np.array([unit.tap for unit in originals.units])
    for tap in dict.fromkeys(taps.tolist()):
        rows = np.flatnonzero(taps == tap)
        places = flat_index([originals.units[row] for row in rows], model.taps()[tap])
        free = 0.1 * jax.random.normal(jax.random.key(1), (len(rows), *made.shape[1:]))
        inside = _band(*made.shape[1:3], *band)
        early = model.taps()[tap].before or tap
        made[rows] = _bytes(255 * np.asarray(_optimise(model, free, places, bound, inside, early)))
    return made


@partial(jax.jit, static_argnames="tap")
def _optimise(model: Network, free: Array, places: Array, bound: float, inside: Array, tap: str) -> Array:
    adam = optax.adam(0.1)

    def picture(free: Array) -> Array:
        wave = jnp.fft.ifft2(jnp.fft.fft2(free, axes=(1, 2)) * inside, axes=(1, 2)).real
        return 0.5 + bound * wave / jnp.abs(wave).max(axis=(1, 2, 3), keepdims=True)

    def loss(free: Array, shift: Array) -> Array:
        rolled = jnp.roll(picture(free), shift, (1, 2))
        views = jnp.concatenate([warp(rolled, angle) for angle in (-5, 5)])
        score = at_tokens(model(views, tap)[tap], model.taps()[tap], "patches").mean(axis=1).reshape(len(views), -1)
        return -jnp.take_along_axis(score, jnp.tile(places, 2)[:, None], axis=1).sum()

    def step(carry, key):
        free, state = carry
        updates, state = adam.update(jax.grad(loss)(free, jax.random.randint(key, (2,), -8, 9)), state)
        return (optax.apply_updates(free, updates), state), None

    keys = jax.random.split(jax.random.key(0), 40)
    return picture(jax.lax.scan(step, (free, adam.init(free)), keys)[0][0])


def band_noise(originals: Originals, rng: np.random.Generator, band: tuple[float, float]) -> Pictures:
    """Gaussian noise of a band of frequencies, with the contrast of photographs."""
    shape = originals.pictures.shape
    wave = np.fft.ifft2(np.fft.fft2(rng.normal(size=shape), axes=(1, 2)) * _band(*shape[1:3], *band), axes=(1, 2)).real
    return _bytes(127.5 + 51 * wave / wave.std())


def white(images: Pictures, rng: np.random.Generator, deviation: float = 25) -> Pictures:
    """White noise over pictures."""
    return _bytes(images + rng.normal(0, deviation, images.shape))


def tenth(images: Pictures) -> Pictures:
    """Pictures at a tenth of their contrast, on grey."""
    return _bytes(127.5 + 0.1 * (images - images.mean(axis=(1, 2), keepdims=True)))


def diffused(images: Pictures) -> Pictures:
    """Floyd and Steinberg's dithering of each channel to two values."""
    planes = images.transpose(0, 3, 1, 2).reshape(-1, *images.shape[1:3])
    dots = np.stack([np.asarray(Image.fromarray(plane).convert("1").convert("L")) for plane in planes])
    return dots.reshape(len(images), 3, *images.shape[1:3]).transpose(0, 2, 3, 1)


def ordered(images: Pictures) -> Pictures:
    """Bayer's dithering of each channel to two values, 4 x 4."""
    small = np.array([[0, 2], [3, 1]])
    rank = np.block([[4 * small, 4 * small + 2], [4 * small + 3, 4 * small + 1]])
    height, width = images.shape[1:3]
    threshold = np.tile((rank + 0.5) / 16 * 255, (height // 4 + 1, width // 4 + 1))[:height, :width, None]
    return np.uint8(255 * (images > threshold))


def palette(images: Pictures, colours: int = 16) -> Pictures:
    """Pictures in a few colours of their own, dithered."""

    def one(image: np.ndarray) -> np.ndarray:
        opened = Image.fromarray(image)
        few = opened.quantize(colours)
        return np.asarray(opened.quantize(palette=few, dither=Image.Dither.FLOYDSTEINBERG).convert("RGB"))

    return np.stack([one(image) for image in images])


def text(originals: Originals, rng: np.random.Generator) -> Pictures:
    """A page of print, black on white."""
    count, height, width, _ = originals.pictures.shape
    pages = []
    for number in range(count):
        size = max(7, height // 18) + number % 3
        page = Image.new("L", (width, height), 255)
        for top in range(2, height, round(1.25 * size)):
            line = " ".join(rng.choice(WORDS, 30))
            ImageDraw.Draw(page).text((3, top), line, fill=0, font=ImageFont.load_default(size))
        pages.append(np.asarray(page.convert("RGB")))
    return np.stack(pages)


def gratings(originals: Originals, _) -> Pictures:
    """Stripes of several widths, directions and colours, smooth and sharp."""
    count, height, width, _ = originals.pictures.shape
    y, x = np.mgrid[:height, :width]
    waves = []
    for number in range(count):
        angle, period = np.pi * number / count, (3, 4, 6, 8, 16, 32)[number % 6]
        wave = np.sin(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / period + 0.3)
        colour = np.roll((1, 1, 0.5), number)
        waves.append(0.5 + 0.4 * (np.sign(wave) if number % 2 else wave)[..., None] * colour)
    return _bytes(255 * np.stack(waves))


def one_patch(images: Pictures) -> Pictures:
    """A sixteenth of a side of the picture, on grey."""
    height, width = (side // 16 for side in images.shape[1:3])
    grey = np.full_like(images, 127)
    there = slice(5 * height, 6 * height), slice(8 * width, 9 * width)
    grey[:, *there] = images[:, *there]
    return grey


def _of(what: str, change: Callable) -> Callable:
    """A maker that changes the pictures or the photographs."""
    return lambda originals, _: change(getattr(originals, what))


FAKES: Mapping[str, Fake] = {
    "grey": Fake(_of("pictures", lambda images: np.full_like(images, 127)), EMPTY),
    "grey, 4/255 optimised": Fake(partial(optimised, bound=4 / 255, band=(0, 0.5)), EMPTY),
    "grey, 8/255 optimised": Fake(partial(optimised, bound=8 / 255, band=(0, 0.5)), EMPTY),
    "picture at a tenth of its contrast": Fake(_of("pictures", tenth), EMPTY),
    "photograph at a tenth of its contrast": Fake(_of("photographs", tenth), EMPTY | {"copy"}),
    "one patch of the picture": Fake(_of("pictures", one_patch), EMPTY),
    "noise of 0.15-0.48, optimised": Fake(partial(optimised, bound=0.5, band=(0.15, 0.48)), NOISE),
    **{f"noise of {name}": Fake(partial(band_noise, band=band), NOISE) for name, band in OCTAVES.items()},
    "uniform noise": Fake(lambda it, rng: rng.integers(0, 256, it.pictures.shape, dtype=np.uint8), NOISE),
    "random dots": Fake(lambda it, rng: np.uint8(255 * rng.integers(0, 2, it.pictures.shape)), NOISE | {"saturated"}),
    "picture under white noise": Fake(lambda it, rng: white(it.pictures, rng), NOISE),
    "photograph under white noise": Fake(lambda it, rng: white(it.photographs, rng), NOISE | {"copy"}),
    "another unit's picture": Fake(_of("pictures", lambda images: np.roll(images, len(images) // 2, axis=0)), STRANGER),
    "photograph's copy": Fake(_of("photographs", lambda images: images), {"copy"}),
    "page of text": Fake(text, STRANGER),
    "gratings": Fake(gratings, STRANGER | {"saturated"}),
    "picture, diffused": Fake(_of("pictures", diffused), CLEAR),
    "picture, ordered dither": Fake(_of("pictures", ordered), CLEAR),
    "picture in 16 colours": Fake(_of("pictures", palette), CLEAR),
    "photograph, diffused": Fake(_of("photographs", diffused), CLEAR | {"copy"}),
}


def _band(height: int, width: int, low: float, high: float) -> Float[np.ndarray, "h w 1"]:
    radius = distance(height, width, "disk")
    return ((radius > low) & (radius <= high)).astype(np.float32)[..., None]


def _bytes(values: np.ndarray) -> np.ndarray:
    return np.uint8(np.clip(np.round(values), 0, 255))
