"""What is predicted: the pixels of masked units, each unit by its own mean and spread; the loss, and pictures of it."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

EPS = 1e-6  # added to a unit's variance

Images = Float[Array, "batch height width color"]
Units = Float[Array, "batch unit pixel"]


def cut(images: Images, unit: tuple[int, int]) -> Units:
    """Images in units of (height, width), row by row; a unit's values by row, column and colour."""
    (count, height, width, colors), (down, across) = images.shape, unit
    x = images.reshape(count, height // down, down, width // across, across, colors).swapaxes(2, 3)
    return x.reshape(count, -1, down * across * colors)


def joined(units: Units, unit: tuple[int, int], grid: tuple[int, int]) -> Images:
    """The images that units make on their grid of (rows, columns)."""
    x = units.reshape(len(units), *grid, *unit, -1).swapaxes(2, 3)
    return x.reshape(len(x), grid[0] * unit[0], grid[1] * unit[1], -1)


def statistics(units: Units) -> tuple[Array, Array]:
    """Each unit's mean, and the root of its unbiased variance and a little."""
    return units.mean(axis=-1, keepdims=True), jnp.sqrt(units.var(axis=-1, keepdims=True, ddof=1) + EPS)


def targets(images: Images, unit: tuple[int, int], normalised: bool = True) -> Units:
    """What is predicted of each unit, in float32 at least: its pixels, by default by its own mean and spread."""
    units = cut(images.astype(jnp.promote_types(images.dtype, jnp.float32)), unit)
    if not normalised:
        return units
    mean, spread = statistics(units)
    return (units - mean) / spread


def hidden(units: int, visible: Int[Array, " visible"]) -> Bool[Array, " unit"]:
    """Which units are masked."""
    return jnp.ones(units, bool).at[visible].set(False)


def loss(predicted: Units, wanted: Units, masked: Bool[Array, " unit"]) -> Float[Array, ""]:
    """The squared error over the pixels of masked units, its mean."""
    errors = jnp.square(predicted.astype(wanted.dtype) - wanted).mean(axis=-1)
    return jnp.where(masked, errors, 0).sum() / (len(errors) * masked.sum())


def pictures(
    images: Images, predicted: Units, masked: Bool[Array, " unit"], unit: tuple[int, int], normalised: bool = True
) -> tuple[Images, Images]:
    """What the encoder saw, grey where it is masked, and what was predicted there, among what it saw.

    Args:
        images: normalised by the model's mean and std: 0 is their grey.
        predicted: by the decoder, of all units.
        masked: which of these are predicted.
        unit: (height, width) in pixels.
        normalised: whether targets are by each unit's mean and spread, of which the true ones are taken here.
    """
    units = cut(images, unit)
    grid = tuple(side // of for side, of in zip(images.shape[1:3], unit, strict=True))
    if normalised:
        mean, spread = statistics(units)
        predicted = predicted * spread + mean
    there = masked[:, None]
    return joined(jnp.where(there, 0, units), unit, grid), joined(jnp.where(there, predicted, units), unit, grid)
