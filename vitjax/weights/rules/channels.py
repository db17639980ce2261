"""Reads how many channels a model's images have, and a mean and std for each."""

from collections.abc import Mapping, Sequence

from vitjax.errors import InputError
from vitjax.models.core.preprocess import IMAGE_MODES
from vitjax.weights.rules.layouts import Shape


def channels_of(shapes: Mapping[str, Shape], first: str) -> int:
    """Reads the input channels of the first convolution, stored [out, in, row, column]; 3 where there is none."""
    shape = shapes.get(first, ())
    return shape[1] if len(shape) == 4 else 3


def per_channel(values: Sequence[float], channels: int, where: str) -> tuple[float, ...]:
    """Gives a mean or std with a number for each channel; the same number of all channels stands for any count of them.

    Args:
        values: as a checkpoint states them.
        channels: of the model.
        where: how messages call them, e.g. "mean in config.json".

    Raises:
        InputError: channels that no image has, or other numbers than there are channels.
    """
    if channels not in IMAGE_MODES:
        raise InputError(f"{channels} input channels are not supported, only {', '.join(map(str, IMAGE_MODES))}")
    if len(values) == channels:
        return tuple(values)
    if len(set(values)) == 1:
        return (values[0],) * channels
    raise InputError(f"{where} is {list(values)}, which is not one number for each of {channels} input channels")
