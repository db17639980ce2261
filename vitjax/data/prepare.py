"""Bytes of an image file in, the model's input out: decoded to RGB, resized and cropped as in training."""

import io
import math
import warnings

import numpy as np
from jaxtyping import UInt8
from PIL import Image, UnidentifiedImageError

from vitjax.errors import InputError
from vitjax.models.config import ViTConfig

_FILTERS = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "lanczos": Image.Resampling.LANCZOS,
}
_DEEP = ("I;16", "I;16B", "I;16L", "I;16N", "I")
_LARGEST = 2**26  # pixels of a resized image; beyond it only the part that is cropped out is computed


def decode(data: bytes) -> Image.Image:
    """Decodes an image file to RGB.

    Grey, palette and CMYK images are converted, 16 bits are scaled to 8, transparency is laid on black (as
    `convert("RGB")` leaves it).

    Raises:
        InputError: not an image, cut off, or larger than Pillow's limit against decompression bombs.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(data))
            image.load()
    except Image.DecompressionBombError:
        raise InputError("more pixels than Pillow's limit (PIL.Image.MAX_IMAGE_PIXELS)") from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, EOFError, MemoryError) as error:
        raise InputError(str(error).replace("<_io.BytesIO object at ", "<").splitlines()[0]) from None
    if image.mode in _DEEP:  # Pillow would clip at 255 what lies between 0 and 65535
        deep = np.asarray(image).astype(np.float64)
        image = Image.fromarray(np.round(np.clip(deep, 0, 65535) / 257).astype(np.uint8))
    elif image.mode == "F":
        image = Image.fromarray(np.clip(np.round(255 * np.asarray(image)), 0, 255).astype(np.uint8))
    return image.convert("RGB")


def prepare(image: Image.Image, config: ViTConfig) -> UInt8[np.ndarray, "h w 3"]:
    """Resizes until the model's image size is `preprocess.crop` of it, then cuts out the centre.

    Rounds as timm and torchvision do: sides of `floor(size / crop)`, the longer one truncated.
    """
    top, left, height, width, rows, columns = placement(image.size, config)
    image, filter = image.convert("RGB"), _FILTERS[config.preprocess.interpolation]
    if height * width <= _LARGEST:
        whole = image.resize((width, height), filter)
        return np.asarray(whole.crop((left, top, left + columns, top + rows)))
    across, down = image.width / width, image.height / height
    box = (left * across, top * down, (left + columns) * across, (top + rows) * down)
    return np.asarray(image.resize((columns, rows), filter, box=box))


def placement(size: tuple[int, int], config: ViTConfig) -> tuple[int, int, int, int, int, int]:
    """Where the model's input lies in a resized image: (top, left, scaled height, scaled width, height, width).

    Args:
        size: (width, height) of the original, as Pillow gives it.
        config: says the input's size, and how much of the resized image it is.
    """
    original_width, original_height = size
    height, width = config.image_size
    covers = [math.floor(side / config.preprocess.crop) for side in config.image_size]
    if covers[0] * original_width >= covers[1] * original_height:  # the height decides
        scaled = covers[0], original_width * covers[0] // original_height
    else:
        scaled = original_height * covers[1] // original_width, covers[1]
    return round((scaled[0] - height) / 2), round((scaled[1] - width) / 2), *scaled, height, width
