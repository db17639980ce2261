"""The fifteen kinds of corruption with their severities, and what one makes of an image.

Constants are those of ImageNet-C for images of 224 pixels and of Tiny ImageNet-C for 64, from the authors' code
(github.com/hendrycks/robustness). An image takes the set whose size is nearer, as a ratio, to its shorter side: that of
64 below 120 pixels. They are not scaled any further; but those of `elastic_transform` are shares of the shorter side.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from vitjax.analysis.perturbed.corrupt import blur, digital, noise, weather
from vitjax.errors import InputError, nearest

SEVERITIES = (1, 2, 3, 4, 5)
SMALL = (64 * 224) ** 0.5  # pixels of the shorter side below which the constants of 64 are nearer
_LARGE = 244 / 224  # what ImageNet-C's code counts the sides of its images as, for elastic warps
Constants = tuple[tuple[float, ...], ...]  # of each severity


@dataclass(frozen=True)
class Kind:
    """A kind of corruption.

    Attributes:
        group: noise, blur, weather or digital.
        corrupt: what makes it, see `noise`.
        large: constants of each severity for images of 224 pixels.
        small: for images of 64 pixels.
    """

    group: str
    corrupt: Callable
    large: Constants
    small: Constants


def _each(*constants: float) -> Constants:
    return tuple((constant,) for constant in constants)


KINDS: dict[str, Kind] = {
    "gaussian_noise": Kind(
        "noise", noise.gaussian_noise, _each(0.08, 0.12, 0.18, 0.26, 0.38), _each(0.04, 0.08, 0.12, 0.15, 0.18)
    ),
    "shot_noise": Kind("noise", noise.shot_noise, _each(60, 25, 12, 5, 3), _each(250, 100, 50, 30, 15)),
    "impulse_noise": Kind(
        "noise", noise.impulse_noise, _each(0.03, 0.06, 0.09, 0.17, 0.27), _each(0.01, 0.02, 0.05, 0.08, 0.14)
    ),
    "defocus_blur": Kind(
        "blur",
        blur.defocus_blur,
        ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5)),
        ((0.5, 0.6), (1, 0.1), (1.5, 0.1), (2.5, 0.01), (3, 0.1)),
    ),
    "glass_blur": Kind(
        "blur",
        blur.glass_blur,
        ((0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2)),
        ((0.1, 1, 1), (0.5, 1, 1), (0.6, 1, 2), (0.7, 2, 1), (0.9, 2, 2)),
    ),
    "motion_blur": Kind(
        "blur",
        blur.motion_blur,
        ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15)),
        ((10, 1), (10, 1.5), (10, 2), (10, 2.5), (12, 3)),
    ),
    "zoom_blur": Kind(
        "blur",
        blur.zoom_blur,
        ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03)),
        ((1.06, 0.01), (1.11, 0.01), (1.16, 0.01), (1.21, 0.01), (1.26, 0.01)),
    ),
    "snow": Kind(
        "weather",
        weather.snow,
        (
            (0.1, 0.3, 3, 0.5, 10, 4, 0.8),
            (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
            (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
            (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
            (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
        ),
        (
            (0.1, 0.2, 1, 0.6, 8, 3, 0.8),
            (0.1, 0.2, 1, 0.5, 10, 4, 0.8),
            (0.15, 0.3, 1.75, 0.55, 10, 4, 0.7),
            (0.25, 0.3, 2.25, 0.6, 12, 6, 0.65),
            (0.3, 0.3, 1.25, 0.65, 14, 12, 0.6),
        ),
    ),
    "frost": Kind(
        "weather",
        weather.frost,
        ((1, 0.4, 1), (0.8, 0.6, 1), (0.7, 0.7, 1), (0.65, 0.7, 1), (0.6, 0.75, 1)),
        ((1, 0.3, 0.3), (0.9, 0.4, 0.3), (0.8, 0.45, 0.3), (0.75, 0.5, 0.3), (0.7, 0.55, 0.3)),
    ),
    "fog": Kind(
        "weather",
        weather.fog,
        ((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4)),
        ((0.4, 3), (0.7, 3), (1, 2.5), (1.5, 2), (2, 1.75)),
    ),
    "brightness": Kind("weather", weather.brightness, _each(0.1, 0.2, 0.3, 0.4, 0.5), _each(0.1, 0.2, 0.3, 0.4, 0.5)),
    "contrast": Kind("digital", digital.contrast, _each(0.4, 0.3, 0.2, 0.1, 0.05), _each(0.4, 0.3, 0.2, 0.1, 0.05)),
    "elastic_transform": Kind(
        "digital",
        digital.elastic_transform,
        tuple(
            tuple(part * _LARGE for part in constants)
            for constants in ((2, 0.7, 0.1), (2, 0.08, 0.2), (0.05, 0.01, 0.02), (0.07, 0.01, 0.02), (0.12, 0.01, 0.02))
        ),
        ((0, 0, 0.08), (0.05, 0.3, 0.06), (0.1, 0.08, 0.06), (0.1, 0.03, 0.03), (0.16, 0.03, 0.02)),
    ),
    "pixelate": Kind("digital", digital.pixelate, _each(0.6, 0.5, 0.4, 0.3, 0.25), _each(0.9, 0.8, 0.7, 0.6, 0.5)),
    "jpeg_compression": Kind("digital", digital.jpeg_compression, _each(25, 18, 15, 10, 7), _each(65, 58, 50, 40, 25)),
}


def corrupted(
    image: UInt8[np.ndarray, "h w 3"], kind: str, severity: int, name: str = "", seed: int = 0
) -> UInt8[np.ndarray, "h w 3"]:
    """Corrupts an image.

    Args:
        image: RGB, of the size that a model takes.
        kind: of `KINDS`.
        severity: of `SEVERITIES`.
        name: of the image. With the kind and the seed it decides what is drawn at random, for all severities alike.
        seed: of everything random.

    Raises:
        InputError: another kind or severity, or an image that is not RGB.
    """
    if kind not in KINDS:
        raise InputError(f"no corruption is called {kind!r}{nearest(kind, KINDS)}: {', '.join(KINDS)}")
    if severity not in SEVERITIES:
        raise InputError(f"severity {severity!r}: they are 1 to 5")
    if image.ndim != 3 or image.shape[-1] != 3 or image.dtype != np.uint8:
        raise InputError(f"corruptions are defined for RGB of 8 bits, not for {image.dtype} {image.shape}")
    found = KINDS[kind]
    constants = found.small if min(image.shape[:2]) < SMALL else found.large
    rng = np.random.default_rng((seed, zlib.crc32(name.encode()), zlib.crc32(kind.encode())))
    changed = found.corrupt(image / 255.0, rng, *constants[severity - 1])
    return (np.clip(changed, 0, 1) * 255 + 1e-6).astype(np.uint8)  # cut off, not rounded, as in the authors' code
