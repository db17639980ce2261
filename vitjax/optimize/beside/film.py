"""Writes frames of an optimisation as an animation, and a picture with its attribution mask as transparency."""

import io

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from vitjax.data.pixels import pillow, shown

SECONDS = 4.0  # that an animation takes, without the time that its last frame stands
STANDS = 1.5  # seconds
BLUR = 2.0  # pixels; slopes of neighbours differ in sign, so that a mask would be grain (faccent)
CLIP = 80  # percentile above which a mask shows all (Horama)


def animation(frames: UInt8[np.ndarray, "frame h w color"]) -> bytes:
    """A WebP file that plays the frames, without loss and again and again."""
    pictures = [Image.fromarray(np.ascontiguousarray(shown(frame))) for frame in frames]
    each = max(20, round(1000 * SECONDS / len(pictures)))
    durations = [each] * (len(pictures) - 1) + [round(1000 * STANDS)]
    buffer = io.BytesIO()
    pictures[0].save(
        buffer, format="webp", save_all=True, append_images=pictures[1:], duration=durations, loop=0, lossless=True
    )
    return buffer.getvalue()


def mask(slopes: Float[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w"]:
    """How much of each pixel is shown: the slopes, blurred, clipped at a percentile, over their largest."""
    from scipy.ndimage import gaussian_filter  # a fifth of a second to import, and few pictures have a mask

    smooth = gaussian_filter(slopes.astype(np.float64), BLUR, mode="nearest")
    smooth = np.minimum(smooth, np.percentile(smooth, CLIP))
    return np.round(255 * smooth / max(smooth.max(), np.finfo(np.float32).tiny)).astype(np.uint8)


def masked(picture: UInt8[np.ndarray, "h w color"], slopes: Float[np.ndarray, "h w"]) -> bytes:
    """A PNG of a picture as it is, with its mask as alpha channel."""
    buffer = io.BytesIO()
    pillow(np.concatenate([shown(picture), mask(slopes)[..., None]], axis=-1)).save(buffer, format="png")
    return buffer.getvalue()
