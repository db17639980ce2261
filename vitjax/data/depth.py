"""Brings a grey image of more than 8 bits to 8 bits; refuses one whose values do not say what white is."""

from collections.abc import Iterator

import numpy as np
from PIL import Image

from vitjax.errors import InputError

MODES = {"I;16", "I;16L", "I;16B", "I;16N", "I", "F"}  # Pillow's, whose own conversion would clip at 255
_STRIP = 2**21  # pixels that are converted together
_DARK = 2**14  # an image of 16 bits that stays below it may have 8, 10, 12 or 14
_BITS, _WHITE_IS_ZERO = 258, 262  # tags of TIFF: BitsPerSample, PhotometricInterpretation
_ADVICE = "scale it to 0…1, or to whole numbers of 0…255 or 0…65535"


def eight_bits(image: Image.Image) -> Image.Image:
    """Gives the image in mode L.

    What the file states holds: white of a PGM is its own maximum, of a TIFF of 9 to 15 bits their largest number.
    Otherwise the values must say it. Of 16 bits white is 65535. Of 32 bits, whole or floating, it is 1 where no value
    lies beyond 0…1, 255 for whole numbers in 0…255, and 65535 for whole numbers in 0…65535.

    Args:
        image: loaded, of one of `MODES`.

    Raises:
        InputError: other values, or whole numbers of which the largest lies between 256 (of 16 bits: 1) and 16383: an
            image of 9 to 14 bits, or a dark one of 16, which nothing tells apart.
    """
    tags = getattr(image, "tag_v2", {})
    white = _stated(image, tags) or _guessed(image)
    small = Image.new("L", image.size)
    for top, values in _strips(image):
        share = values * np.float32(255 / white)
        np.rint(np.minimum(share, 255, out=share), out=share)
        small.paste(Image.fromarray(share.astype(np.uint8)), (0, top))
    return small.point(lambda value: 255 - value) if tags.get(_WHITE_IS_ZERO) == 0 else small


def sixteen_bits(image: Image.Image) -> bool:
    """Says whether an image that is opened, but not loaded, has 16 bits in colour: Pillow drops the lower 8."""
    return image.mode not in MODES and any(";16" in str(tile.args) for tile in getattr(image, "tile", ()))


def bright(image: Image.Image) -> None:
    """Raises InputError where the 8 bits that were kept of 16 are as few as `eight_bits` refuses."""
    high = max(high for _, high in image.getextrema())
    if 0 < high < _DARK >> 8:
        raise InputError(_few(high << 8))


def _few(high: float) -> str:
    return f"16 bits that hold values up to {high:g} alone: a dark image, or one of fewer bits; {_ADVICE}"


def _stated(image: Image.Image, tags) -> int | None:
    if image.format == "PPM" and image.mode == "I":
        return 65535  # Pillow has scaled it from the file's own maximum
    bits = tags.get(_BITS, (0,))[0]
    return 2**bits - 1 if 8 < bits < 16 else None


def _guessed(image: Image.Image) -> int:
    low, high, whole = np.inf, -np.inf, True
    for _, values in _strips(image):
        low, high = np.minimum(low, values.min()), np.maximum(high, values.max())  # unlike min, they keep NaN
        whole = whole and (values.dtype.kind != "f" or bool((values == np.rint(values)).all()))
    if not 0 <= low <= high < np.inf:
        raise InputError(f"grey values from {low:g} to {high:g}: {_ADVICE}")
    if image.mode not in ("I", "F"):
        if high and high < _DARK:
            raise InputError(_few(high))
        return 65535
    if high <= 1:
        return 1
    if whole and (high <= 255 or _DARK <= high <= 65535):
        return 255 if high <= 255 else 65535
    if whole and high < _DARK:
        raise InputError(f"whole numbers up to {high:g}: a dark image of 16 bits, or one of fewer; {_ADVICE}")
    raise InputError(f"grey values from {low:g} to {high:g}{'' if whole else ', not whole'}: {_ADVICE}")


def _strips(image: Image.Image) -> Iterator[tuple[int, np.ndarray]]:
    """Gives rows of the image from the top, with the number of the first, so that no second copy of it is in memory."""
    rows = max(1, _STRIP // image.width)
    for top in range(0, image.height, rows):
        yield top, np.asarray(image.crop((0, top, image.width, min(top + rows, image.height))))
