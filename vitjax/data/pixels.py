"""Turns pixels of any number of channels into what people and image files take: grey, RGB or RGBA."""

import numpy as np
from PIL import Image


def pillow(pixels: np.ndarray) -> Image.Image:
    """Makes an image of Pillow's with the channels of uint8 [h, w, channel]: grey, RGB or RGBA."""
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def shown(pixels: np.ndarray) -> np.ndarray:
    """Gives [..., h, w, channel] as red, green and blue: grey where there is one channel, else the first three."""
    return np.repeat(pixels, 3, axis=-1) if pixels.shape[-1] == 1 else pixels[..., :3]
