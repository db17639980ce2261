"""Bytes of an image file in, the model's input out: decoded to RGB, resized and cut as the checkpoint says."""

import io

import numpy as np
from jaxtyping import UInt8
from PIL import Image, UnidentifiedImageError

from vitjax.data.placement import Placement, placement
from vitjax.errors import InputError
from vitjax.models.config import IMAGE_MODES
from vitjax.models.kinds import Config

# The value that is white in modes of more than 8 bits, which Pillow's own conversion would clip at 255.
_WHITE = {"I;16": 65535, "I;16L": 65535, "I;16B": 65535, "I;16N": 65535, "I": 65535, "F": 1}
_LARGEST = 2**26  # pixels of a resized image; beyond it only the part that is cropped out is computed


def decode(data: bytes, channels: int = 3) -> Image.Image:
    """Decodes an image file to RGB, as `convert("RGB")` of Pillow does, and torchvision with it.

    So transparency is dropped and EXIF does not turn the image; but 16 bits are scaled to 8, not clipped. Of several
    frames the first is taken. For a model of four channels it stays RGBA, which it must be; one of a single channel
    has it made grey by `prepare`.

    Raises:
        InputError: not an image, cut off, or larger than Pillow's limit against decompression bombs.
    """
    try:
        image = Image.open(io.BytesIO(data))
        image.load()
        if white := _WHITE.get(image.mode):
            share = np.clip(np.nan_to_num(np.asarray(image, np.float32) / white), 0, 1)
            image = Image.fromarray(np.rint(255 * share).astype(np.uint8))
        elif image.mode == "P" and "transparency" in image.info:
            image = image.convert("RGBA")  # by this way Pillow does not warn
        if channels > 3 and image.mode != IMAGE_MODES[channels]:
            raise InputError(f"the image is {image.mode}, and the model reads {IMAGE_MODES[channels]}")
        return image.convert("RGB" if channels < 3 else IMAGE_MODES[channels])
    except InputError:
        raise
    except UnidentifiedImageError:
        raise InputError("not an image of a kind that Pillow knows" if data else "an empty file") from None
    except Image.DecompressionBombError:
        raise InputError("more pixels than Pillow's limit (PIL.Image.MAX_IMAGE_PIXELS)") from None
    except Exception as error:  # a damaged file fails in as many ways as there are formats
        raise InputError(next(iter(str(error).splitlines()), type(error).__name__)) from None


def prepare(image: Image.Image, config: Config) -> UInt8[np.ndarray, "h w color"]:
    """Resizes an image and cuts out or fills up what the model reads, as its `preprocess` says.

    Raises:
        InputError: as `placement`.
    """
    at, mode, channels = placement(image.size, config), IMAGE_MODES[config.channels], config.channels
    image = image.convert(mode)
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
    """The part of the resized image that the model reads: (left, top, right, bottom)."""
    right, bottom = min(at.left + at.columns, at.width), min(at.top + at.rows, at.height)
    return max(at.left, 0), max(at.top, 0), right, bottom
