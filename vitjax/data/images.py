"""Images of a folder or a zip, in the order of their names, prepared as the model was trained to see them."""

import io
import math
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from jaxtyping import Float
from PIL import Image, UnidentifiedImageError

from vitjax.errors import InputError
from vitjax.models.config import ViTConfig

ENDINGS = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}
_FILTERS = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "lanczos": Image.Resampling.LANCZOS,
}


def names(path: Path) -> list[str]:
    """Lists the images of a folder (and its folders) or a zip by name, sorted."""
    return _open(path)[0]


def batches(path: Path, config: ViTConfig, size: int) -> Iterator[tuple[list[str], Float[np.ndarray, "batch h w 3"]]]:
    """Yields (names, images in [0, 1]) of up to `size` images at a time, prepared for the model.

    Raises:
        InputError: no such folder or zip, no images in it, or an image that cannot be read, by name.
    """
    found, read = _open(path)
    with ThreadPoolExecutor() as pool:
        for start in range(0, len(found), size):
            some = found[start : start + size]
            yield some, np.stack(list(pool.map(lambda name: prepare(_decode(name, read), config), some)))


def prepare(image: Image.Image, config: ViTConfig) -> Float[np.ndarray, "h w 3"]:
    """Resizes until the model's image size is `preprocess.crop` of it, cuts out the centre: floats in [0, 1].

    Rounds as timm and torchvision do: sides of `floor(size / crop)`, the longer one truncated.
    """
    height, width = config.image_size
    covers = [math.floor(side / config.preprocess.crop) for side in config.image_size]
    tall = covers[0] * image.width >= covers[1] * image.height  # the height decides
    scaled = (
        (covers[0], image.width * covers[0] // image.height)
        if tall
        else (image.height * covers[1] // image.width, covers[1])
    )
    image = image.convert("RGB").resize(scaled[::-1], _FILTERS[config.preprocess.interpolation])
    top, left = round((scaled[0] - height) / 2), round((scaled[1] - width) / 2)
    return np.asarray(image.crop((left, top, left + width, top + height)), np.float32) / 255


def _decode(name: str, read: Callable[[str], bytes]) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(read(name)))
        image.load()
        return image
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise InputError(f"{name} is not a readable image: {error}") from None


def _open(path: Path) -> tuple[list[str], Callable[[str], bytes]]:
    if path.is_dir():
        found = [file.relative_to(path).as_posix() for file in path.rglob("*")]
        read = lambda name: (path / name).read_bytes()
    elif zipfile.is_zipfile(path):
        archive = zipfile.ZipFile(path)
        found, read = archive.namelist(), archive.read
    else:
        raise InputError(
            f"{path} is neither a folder nor a zip of images" if path.exists() else f"{path} does not exist"
        )
    found = sorted(name for name in found if Path(name).suffix.lower() in ENDINGS)
    if not found:
        raise InputError(f"no images in {path}: looked for {', '.join(sorted(ENDINGS))}")
    return found, read
