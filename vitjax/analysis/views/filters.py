"""The filters of the patch embedding, and their local views: what each makes of every patch of an image.

Nguyen et al. 2022 (arXiv 2210.07646): a view is the product of filter and patch before it is summed to an activation.
"""

from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import Array, Float

from vitjax.errors import InputError
from vitjax.models.core.config import ViTConfig
from vitjax.models.core.images import checked
from vitjax.models.core.network import Network


def filters(model: Network) -> Float[Array, "unit h w 3"]:
    """The filter of each unit of the patch embedding, f_j.

    Raises:
        InputError: a model that has none.
    """
    if "patch filters" not in model.facts:
        raise InputError(
            "this model has no patch embedding, of whose filters views are made: take a Vision Transformer"
        )
    kernel = model.patch.kernel[...].astype(jnp.float32)
    return kernel.T.reshape(-1, *model.config.patch_size, model.config.channels)


def evenness(filters: Float[Array, "unit h w 3"]) -> Float[Array, " unit"]:
    """The share of each filter's energy that is its mean colour: 1 for one colour all over, 0 for a mere pattern.

    A filter multiplies every patch by the same pattern. One of high evenness leaves the image visible beneath; the
    paper calls such filters good, by eye.
    """
    return (filters.mean(axis=(1, 2)) ** 2).sum(axis=-1) / (filters**2).mean(axis=(1, 2)).sum(axis=-1)


def cut(model: Network, images: Float[Array, "image h w 3"]) -> Float[Array, "image patch h w 3"]:
    """The patches of images in [0, 1] as the filters meet them, x^k: normalised, row by row.

    Raises:
        InputError: images of another size, type or range.
    """
    images = checked(images, model.config.image_size, model.config.channels)
    return model.cut(model.normalise(jnp.asarray(images)))


def local_views(
    model: Network, images: Float[Array, "image h w 3"], units: Sequence[int] | None = None
) -> Float[Array, "image patch unit h w 3"]:
    """What each unit of the patch embedding sees in each patch: V_0^{k,j} = f_j * x^k, colours apart.

    The sum of a local view and of `constants` is the unit's activation at that patch, before the first block (and, in
    models that have one there, before the LayerNorm).

    Args:
        model: any.
        images: in [0, 1], of the model's size.
        units: channels of `embed`; default all.

    Raises:
        InputError: units that are not there, or images of another size.
    """
    chosen = filters(model)[jnp.array(check_units(model.config, units))]
    return cut(model, images)[:, :, None] * chosen


def constants(model: Network) -> Float[Array, "patch unit"]:
    """What an activation of the patch embedding has that no view shows: bias and position embedding."""
    bias = model.patch.bias[...] if model.config.patch_bias else 0
    return (model.position[...] + bias).astype(jnp.float32)


def assembled(config: ViTConfig, pieces: Float[Array, "*n patch h w 3"]) -> Float[Array, "*n height width 3"]:
    """Patches put back where they were cut out: local views become a global one."""
    *outer, _, height, width, colours = pieces.shape
    pieces = pieces.reshape(*outer, *config.grid, height, width, colours).swapaxes(-4, -3)
    return pieces.reshape(*outer, *config.image_size, colours)


def check_units(config: ViTConfig, units: Sequence[int] | None) -> tuple[int, ...]:
    """The channels meant, by default all; an InputError for one that the model does not have, or for none."""
    units = tuple(range(config.width) if units is None else units)
    if wrong := [unit for unit in units if not 0 <= unit < config.width]:
        raise InputError(f"unit {wrong[0]} is out of range: there are {config.width} filters (0-{config.width - 1})")
    if not units:
        raise InputError("no units are given")
    return units
