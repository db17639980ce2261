"""Opens images that lie in memory, arrays and Pillow's, as a data set beside those of files.

Each is handed on as the bytes of a file without loss, made when it is read, so that whatever reads, hashes or resumes a
data set treats both alike.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from PIL import Image

from vitjax.data.files.images import Images
from vitjax.errors import InputError
from vitjax.models.core.images import as_numpy, check_values, is_pillow

MODES = {
    "1",
    "L",
    "LA",
    "P",
    "RGB",
    "RGBA",
    "CMYK",
    "YCbCr",
    "I",
    "I;16",
    "I;16B",
    "F",
}  # of Pillow's, that a TIFF keeps


def in_memory(source: Any) -> Images:
    """Makes a data set of arrays or images of Pillow's; they are called `image 0`, `image 1`, …

    Args:
        source: a list of images of any sizes, or one array of several. An array is [height, width, 3] or, if grey,
            [height, width]: bytes (uint8), which are not copied, or floats in [0, 1], which are rounded to bytes.

    Raises:
        InputError: no images, one image alone, or what is none: channels first, another type or range.
    """
    if is_pillow(source):
        raise InputError("one image is no data set: give a list, [image]")
    if source is None or not hasattr(source, "__len__") or isinstance(source, dict | set | bytes):
        what = "None" if source is None else f"something of type {type(source).__name__}"
        raise InputError(f"{what} is no data set: give a path, or a list of images")
    if hasattr(source, "__array__") and len(as_numpy(source).shape) != 4:
        raise InputError(f"an array of shape {source.shape} is no data set: give a list, or [image, height, width, 3]")
    if not len(source):
        raise InputError("no images are given")
    held = tuple(_checked(image, f"image {place}") for place, image in enumerate(source))
    return Images(f"{len(held)} images in memory", tuple(f"image {place}" for place in range(len(held))), _Held(held))


@dataclass(frozen=True, eq=False)
class _Held:
    images: Sequence[np.ndarray | Image.Image]

    def __call__(self, place: int) -> bytes:
        image = self.images[place]
        if isinstance(image, np.ndarray):
            image = Image.fromarray(image)
        image = image if image.mode in MODES else image.convert("RGBA" if image.has_transparency_data else "RGB")
        file = io.BytesIO()
        image.save(file, format="tiff")
        return file.getvalue()


def _checked(image: Any, name: str) -> np.ndarray | Image.Image:
    """Gives an image of Pillow's as it is, an array as bytes [h, w, 3] or [h, w]."""
    if is_pillow(image):
        if not min(image.size):
            raise InputError(f"{name} has no pixels: it is {image.width} x {image.height}")
        try:
            image.load()
        except Exception as error:  # as many ways as there are formats; its file may be closed by now
            raise InputError(f"{name} cannot be read: {error}") from None
        return image
    if isinstance(image, str) or not hasattr(image, "__array__"):
        paths = "; name the folder of files" if isinstance(image, str) or hasattr(image, "__fspath__") else ""
        raise InputError(f"{name} is of type {type(image).__name__}, neither an array nor Pillow's{paths}")
    pixels = as_numpy(image)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    if not pixels.size or pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] != 3):
        first = pixels.ndim == 3 and pixels.shape[0] in (1, 3, 4)
        alpha = pixels.ndim == 3 and pixels.shape[2] == 4
        how = "; write np.moveaxis(image, 0, -1)" if first else "; write image[..., :3]" if alpha else ""
        raise InputError(f"{name} has shape {pixels.shape}, it must be [height, width, 3]{how}")
    if pixels.dtype == np.uint8:
        return pixels
    if not jnp.issubdtype(pixels.dtype, jnp.floating):
        raise InputError(f"{name} is {pixels.dtype}, it must be uint8, or floats in [0, 1]")
    check_values(pixels, name)
    return np.rint(255 * np.clip(pixels, 0, 1)).astype(np.uint8)
