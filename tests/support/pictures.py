"""Image files and data sets that the tests of `vitjax.data` share."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image

from vitjax.data.files.images import Images
from vitjax.models.core.config import Preprocess, ViTConfig

CONFIG = ViTConfig(image_size=(32, 32), patch_size=(8, 8), classes=4, preprocess=Preprocess(crop=1.0))


def photo(width: int, height: int, seed: int = 0) -> Image.Image:
    """A smooth random picture."""
    noise = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    return Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)


def encode(image: Image.Image, form: str = "png", **options) -> bytes:
    """The bytes of an image file."""
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def level(number: int) -> bytes:
    """An image file that is grey all over, `number` from 0 to 255: which one it is can be read from any pixel."""
    return encode(Image.new("RGB", (3, 2), (number,) * 3))


def levels(count: int, damaged: tuple[int, ...] = ()) -> Images:
    """A data set of grey images, image i of level i; the damaged are no image files."""
    names = tuple(f"{i:03d}.png" for i in range(count))
    return Images("levels", names, lambda place: b"" if place in damaged else level(place))


def pack(path: Path, files: Mapping[str, bytes]) -> Path:
    """A zip of files."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def unpack(path: Path, files: Mapping[str, bytes]) -> Path:
    """A folder of files."""
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def rows(files: Mapping[str | None, bytes], **columns) -> pa.Table:
    """A table with a column of images as the hub's data sets have it, {path: bytes}, and others."""
    struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    return pa.table({"image": pa.array([{"bytes": d, "path": n} for n, d in files.items()], struct), **columns})
