"""Bytes of an image file in, the model's input out: decoded to RGB, resized and cropped as in training."""

import io
import math

import numpy as np
from jaxtyping import UInt8
from PIL import Image, UnidentifiedImageError

from vitjax.errors import InputError, nearest
from vitjax.models.kinds import Config

_FILTERS = {filter.name.lower(): filter for filter in Image.Resampling}  # timm's names are Pillow's
# The value that is white in modes of more than 8 bits, which Pillow's own conversion would clip at 255.
_WHITE = {"I;16": 65535, "I;16L": 65535, "I;16B": 65535, "I;16N": 65535, "I": 65535, "F": 1}
_LARGEST = 2**26  # pixels of a resized image; beyond it only the part that is cropped out is computed


def decode(data: bytes) -> Image.Image:
    """Decodes an image file to RGB, as `convert("RGB")` of Pillow does, and torchvision with it.

    So transparency is dropped and EXIF does not turn the image; but 16 bits are scaled to 8, not clipped. Of several
    frames the first is taken.

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
        return image.convert("RGB")
    except UnidentifiedImageError:
        raise InputError("not an image of a kind that Pillow knows" if data else "an empty file") from None
    except Image.DecompressionBombError:
        raise InputError("more pixels than Pillow's limit (PIL.Image.MAX_IMAGE_PIXELS)") from None
    except Exception as error:  # a damaged file fails in as many ways as there are formats
        raise InputError(next(iter(str(error).splitlines()), type(error).__name__)) from None


def prepare(image: Image.Image, config: Config) -> UInt8[np.ndarray, "h w 3"]:
    """Resizes until the model's image size is `preprocess.crop` of it, then cuts out the centre.

    Raises:
        InputError: the config asks for a kind of interpolation that Pillow does not have.
    """
    name = config.preprocess.interpolation
    if name not in _FILTERS:
        raise InputError(f"unknown interpolation {name!r}{nearest(name, _FILTERS)}")
    top, left, height, width, rows, columns = placement(image.size, config)
    image, filter = image.convert("RGB"), _FILTERS[name]
    if height * width <= _LARGEST:
        whole = image.resize((width, height), filter)
        return np.asarray(whole.crop((left, top, left + columns, top + rows)))
    across, down = image.width / width, image.height / height
    box = (left * across, top * down, (left + columns) * across, (top + rows) * down)
    return np.asarray(image.resize((columns, rows), filter, box=box))


def placement(size: tuple[int, int], config: Config) -> tuple[int, int, int, int, int, int]:
    """Where the model's input lies in a resized image: (top, left, scaled height, scaled width, height, width).

    Rounds as timm does (data/transforms_factory.py, transforms_imagenet_eval): the image covers `floor(side / crop)`,
    and its other side is truncated for a square (torchvision's Resize), rounded for a rectangle (ResizeKeepRatio).

    Args:
        size: (width, height) of the original, as Pillow gives it.
        config: says the input's size, and how much of the resized image it is.
    """
    original_width, original_height = size
    height, width = config.image_size
    covers = [math.floor(side / config.preprocess.crop) for side in config.image_size]
    if covers[0] == covers[1]:
        scaled = original_height * covers[0] // min(size), original_width * covers[0] // min(size)
    else:
        ratio = min(original_height / covers[0], original_width / covers[1])
        scaled = round(original_height / ratio), round(original_width / ratio)
    return round((scaled[0] - height) / 2), round((scaled[1] - width) / 2), *scaled, height, width


def patch_box(
    size: tuple[int, int], config: Config, row: int | np.ndarray, column: int | np.ndarray
) -> tuple[float, float, float, float]:
    """Where a patch of the model's input lies in the original image: (left, top, right, bottom) in its pixels.

    Args:
        size: (width, height) of the original.
        config: the model's.
        row, column: on the patch grid; numbers or arrays.
    """
    top, left, scaled_height, scaled_width, *_ = placement(size, config)
    across, down = size[0] / scaled_width, size[1] / scaled_height
    height, width = config.patch_size
    x, y = left + column * width, top + row * height
    return x * across, y * down, (x + width) * across, (y + height) * down
