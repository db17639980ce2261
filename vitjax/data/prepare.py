"""Makes an image file into a model's input: decoded to RGB, resized and cut as the checkpoint says."""

import io
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from jaxtyping import UInt8
from PIL import Image, UnidentifiedImageError

from vitjax.data.depth import MODES, bright, eight_bits, sixteen_bits
from vitjax.data.files.formats import kinds
from vitjax.data.placement import Placement, placement
from vitjax.errors import InputError
from vitjax.models.core.preprocess import IMAGE_MODES, Input

_LARGEST = 2**26  # pixels of a resized image; beyond it only the part that is cropped out is computed
LARGEST = 2**27  # pixels of an image file: cameras make 102 million


def decode(data: bytes, channels: int = 3) -> Image.Image:
    """Decodes an image file to RGB, as `convert("RGB")` of Pillow does, and torchvision with it.

    So transparency is dropped and EXIF does not turn the image; but more than 8 bits are scaled to 8, not clipped, see
    `vitjax.data.depth`. Of several frames the first is taken. For a model of four channels it stays RGBA, which
    it must be; one of a single channel has it made grey by `prepare`.

    Raises:
        InputError: not an image, cut off, of more pixels than `LARGEST`, or grey values that do not say what is white.
    """
    with _in_one_line(data):
        image = _opened(data)
        reduced = sixteen_bits(image)
        image.load()
        if image.mode in MODES:
            image = eight_bits(image)
        elif image.mode == "P" and "transparency" in image.info:
            image = image.convert("RGBA")  # by this way Pillow does not warn
        if reduced:
            bright(image.convert("RGB"))
        if channels > 3 and image.mode != IMAGE_MODES[channels]:
            raise InputError(f"the image is {image.mode}, and the model reads {IMAGE_MODES[channels]}")
        return _in_mode(image, "RGB" if channels < 3 else IMAGE_MODES[channels])


def size(data: bytes) -> tuple[int, int]:
    """Reads width and height of an image file, from its head alone; errors as of `decode`."""
    with _in_one_line(data):
        return _opened(data).size


def _opened(data: bytes) -> Image.Image:
    """Opens the image: its head has been read then, its pixels have not."""
    image = Image.open(io.BytesIO(data), formats=kinds())
    if image.width * image.height > LARGEST:
        raise InputError(f"{image.width}x{image.height} are more pixels than the {LARGEST:,} that are read")
    return image


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    return image if image.mode == mode else image.convert(mode)  # which would copy it


@contextmanager
def _in_one_line(data: bytes) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except UnidentifiedImageError:
        raise InputError("not an image of a kind that Pillow knows" if data else "an empty file") from None
    except Image.DecompressionBombError:
        raise InputError("more pixels than Pillow's limit (PIL.Image.MAX_IMAGE_PIXELS)") from None
    except Exception as error:  # a damaged file fails in as many ways as there are formats
        raise InputError(next(iter(str(error).splitlines()), type(error).__name__)) from None


def prepare(image: Image.Image, config: Input) -> UInt8[np.ndarray, "h w color"]:
    """Resizes an image and cuts out or fills up what the model reads, as its `preprocess` says.

    Args:
        image: of any size, one of Pillow's.
        config: the model's, as `model.config`; its `Input` will do.

    Raises:
        InputError: as `placement`; or the image is none, or the config.
    """
    if not isinstance(image, Image.Image):
        raise InputError(f"image is of type {type(image).__name__}: give Pillow's; of an array Image.fromarray(array)")
    config = Input.of(config)
    at, mode, channels = placement(image.size, config), IMAGE_MODES[config.channels], config.channels
    image = _in_mode(image, mode)
    filter = Image.Resampling[config.preprocess.interpolation.upper()]
    seen = _seen(at)
    if at.height * at.width <= _LARGEST:
        part = image.resize((at.width, at.height), filter).crop(seen)
    else:
        across, down = image.width / at.width, image.height / at.height
        box = tuple(place * scale for place, scale in zip(seen, (across, down) * 2, strict=True))
        part = image.resize((seen[2] - seen[0], seen[3] - seen[1]), filter, box=box)
    if part.size != (at.columns, at.rows):
        fill = (*config.preprocess.fill, 0)[:channels]
        whole = Image.new(mode, (at.columns, at.rows), fill)
        whole.paste(part, (seen[0] - at.left, seen[1] - at.top))
        part = whole
    return np.asarray(part).reshape(at.rows, at.columns, channels)


def _seen(at: Placement) -> tuple[int, int, int, int]:
    """Finds the part of the resized image that the model reads: (left, top, right, bottom)."""
    right, bottom = min(at.left + at.columns, at.width), min(at.top + at.rows, at.height)
    return max(at.left, 0), max(at.top, 0), right, bottom
