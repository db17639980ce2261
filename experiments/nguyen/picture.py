"""Reads an image file as Nguyen et al. 2022 feed it to their model."""

from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from vitjax.models.core.config import ViTConfig

BICUBIC, BILINEAR = Image.Resampling.BICUBIC, Image.Resampling.BILINEAR


def squashed(
    file: str | Path | np.ndarray, config: ViTConfig, filter: Image.Resampling = BICUBIC
) -> UInt8[np.ndarray, "h w 3"]:
    """The whole image at the model's size, whatever its proportions: nothing is cut off, sides are squashed.

    The published code takes `BICUBIC` for what it shows, shuffles and clusters, `BILINEAR` for a single image that it
    feeds to the model; what lies at the model's size already is the same for both.
    """
    image = Image.fromarray(file) if isinstance(file, np.ndarray) else Image.open(file)
    return np.asarray(image.convert("RGB").resize(config.image_size[::-1], filter))
