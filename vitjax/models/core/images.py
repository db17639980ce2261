"""Checks that what a model is given are arrays of values in [0, 1], and says in one line what they look like if not."""

import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vitjax.errors import InputError

TOLERANCE = 0.25  # beyond 0 and 1: what a filter, a bicubic resize or a small perturbation may add
_WANTED = " [batch, height, width, channels] in [0, 1]"

# What values outside of [0, 1] look like, the first that holds them all: (least, most, what to do).
_LOOKS = (
    (0, 255, "like those of bytes: divide by 255"),
    (0, 65535, "like those of 16 bits: divide by 65535"),
    (-1, 1, "as if normalised to -1 to 1: give (images + 1) / 2, a model applies its own mean and std"),
    (-8, 8, "as if normalised: give images * std + mean, a model applies its own mean and std"),
)
_TYPES = {
    "bool": "turn them into floats",
    "uint16": "as floats, divide by 65535",
    "complex64": "take their real part",
    "complex128": "take their real part",
}
Values = jax.Array | np.ndarray


def checked(images: Any, size: tuple[int, int], channels: int) -> Values:
    """The images, as an array, if they are what a model takes.

    Types and shapes are checked always, also while a function is traced; values only where there are any.

    Args:
        images: what a caller gave: an array of JAX or numpy, or what numpy can make one of, as a tensor of torch.
        size: (height, width) that the model takes.
        channels: that it takes.

    Raises:
        InputError: anything but floats [batch, height, width, channels] in [0, 1].
    """
    images = _array(images)
    check_floats(images.dtype)
    _check_shape(images.shape, size, channels)
    if not isinstance(images, jax.core.Tracer):
        check_values(images)
    return images


def check_floats(dtype: np.dtype) -> None:
    """Raises an InputError for a type that holds no values in [0, 1], as that of a photograph's bytes."""
    if not jnp.issubdtype(dtype, jnp.floating):
        what = _TYPES.get(str(dtype), "divide by 255" if jnp.issubdtype(dtype, jnp.integer) else "give numbers")
        raise InputError(f"images are {dtype}, a model takes floats with values in [0, 1]: {what}")


def check_values(images: Values, name: str = "images") -> None:
    """Raises an InputError for values outside of [0, 1], with what they look like, and for NaN.

    Args:
        images: floats, of any shape.
        name: how the message calls them.
    """
    if isinstance(images, np.ndarray):
        low, high = float(images.min()), float(images.max())
    elif images.is_fully_addressable:
        with jax.ensure_compile_time_eval():  # an array that a traced function closes over has values too
            low, high = float(jnp.min(images)), float(jnp.max(images))
    else:
        return
    if np.isnan(low):
        raise InputError(f"{name}: there is NaN among the values")
    if not _within(low, high, 0, 1):
        looks = next((f", {what}" for least, most, what in _LOOKS if _within(low, high, least, most)), "")
        raise InputError(f"{name}: the values go from {low:.4g} to {high:.4g}, not from 0 to 1{looks}")


def _within(low: float, high: float, least: float, most: float) -> bool:
    return least - TOLERANCE <= low and high <= most + TOLERANCE


def is_pillow(image: Any) -> bool:
    """Whether it is an image of Pillow's, which need not be imported for that."""
    pillow = sys.modules.get("PIL.Image")
    return pillow is not None and isinstance(image, pillow.Image)


def as_numpy(images: Any) -> np.ndarray:
    """What numpy makes of another library's array.

    Raises:
        InputError: it cannot, as of a tensor on a GPU; with that library's words.
    """
    try:
        return np.asarray(images)
    except Exception as error:  # each library has its own
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise InputError(f"images of type {type(images).__name__} cannot be read by numpy: {reason}") from None


def _array(images: Any) -> Values:
    if isinstance(images, np.ma.MaskedArray):
        raise InputError("images are a masked array: a model has no use for masks; write images.filled(0)")
    if isinstance(images, jax.Array | np.ndarray):
        return images
    some = images if isinstance(images, list | tuple) else [images]
    if any(map(is_pillow, some)):
        raise InputError(
            "images are Pillow's, a model takes arrays: prepare each by vitjax.data.prepare.prepare(image,"
            " model.config), stack them and divide by 255"
        )
    if some is images and not images:
        raise InputError(f"images are an empty {type(images).__name__}: there is no image in them")
    if some is images:
        stacked = ": write np.stack(images)" if len({getattr(one, "shape", None) for one in some} - {None}) == 1 else ""
        raise InputError(f"images are a {type(images).__name__}, a model takes one array{stacked or _WANTED}")
    if not hasattr(images, "__array__"):
        what = "None" if images is None else f"of type {type(images).__name__}"
        raise InputError(f"images are {what}, a model takes an array{_WANTED}")
    return as_numpy(images)


def _check_shape(shape: tuple[int, ...], size: tuple[int, int], channels: int) -> None:
    if shape[1:] == (*size, channels) and shape[0]:
        return
    wanted = f"this model takes [batch, {'x'.join(map(str, size))}, {channels}]"
    raise InputError(f"images have shape {shape}, {wanted}{_mistake(shape, size, channels)}")


def _mistake(shape: tuple[int, ...], size: tuple[int, int], channels: int) -> str:
    """What is wrong with a shape, and what to write."""
    last, third = (shape[-1:] or (0,))[0], shape[-3] if len(shape) > 2 else 0
    if 0 in shape:
        return ": there is no image in them"
    if len(shape) in (3, 4) and third == channels != last:
        return ": channels stand first; write np.moveaxis(images, -3, -1)"
    if len(shape) == 3 and last == channels:
        return ": a batch axis is missing; write images[None]"
    if len(shape) == 4 and last == 4 and channels == 3:
        return ": there is an alpha channel; write images[..., :3]"
    if channels > 1 and len(shape) in (3, 4) and last == 1:
        return f": they are grey; write np.repeat(images, {channels}, axis=-1)"
    if len(shape) in (2, 3) and shape[-2:] == size:
        return ": a channel axis is missing; for grey images write " + (
            f"np.repeat(images[..., None], {channels}, axis=-1)" if channels > 1 else "images[..., None]"
        )
    return "; load it with another image_size" if len(shape) == 4 and last == channels else ""
