"""Hides tiles of images behind black, their mean colour or noise, or takes their tokens away.

Nguyen et al. 2022 (arXiv 2210.07646), `OcclusionCreate.ipynb` and the VOC class of the published code: of a set of
tiles (all, those that show an object, or the others) `int(ratio * size)` random ones are made black, on the original
image ("native": tiles and patches do not line up) or on the model's input ("aligned": a tile is a patch).
"""

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt8

from vitjax.analysis.ablations.positions import image_keys
from vitjax.analysis.study.blocks import after_blocks, beside, stream
from vitjax.data.annotations.masks import Masks
from vitjax.errors import InputError, nearest
from vitjax.models.core.network import Network
from vitjax.models.core.taps import Edit

SETS = ("random", "salient", "non-salient")
SHARE = 0.15  # of a tile that objects must cover, and more, to make it salient (VOC class of the published code)
REMOVE = "remove"

# What stands where pixels are hidden: (images in [0, 1], a key for each) to pixels, broadcast over the image.
FILLS: Mapping[str, Callable[[Array, Array], Array]] = {
    "black": lambda images, keys: jnp.zeros_like(images[:, :1, :1]),
    "mean": lambda images, keys: images.mean(axis=(1, 2), keepdims=True),
    "noise": lambda images, keys: jax.vmap(lambda key: jax.random.uniform(key, images.shape[1:], images.dtype))(keys),
}


def tile_pixels(
    tiles: Bool[Array, "*n tile"], grid: tuple[int, int], height: int, width: int
) -> Bool[Array, "*n height width"]:
    """The pixels of the chosen tiles, each `height // rows` by `width // columns`; a remainder is in no tile."""
    rows, columns = grid
    y, x = np.arange(height) // (height // rows), np.arange(width) // (width // columns)
    covered = (y < rows)[:, None] & (x < columns)
    at = np.minimum(y, rows - 1)[:, None] * columns + np.minimum(x, columns - 1)
    return tiles[..., at] & covered


def object_tiles(labels: Int[np.ndarray, "h w"], grid: tuple[int, int], share: float = SHARE) -> Bool[np.ndarray, " n"]:
    """The tiles of which objects (labels other than 0) cover more than `share`: the salient ones."""
    rows, columns = grid
    high, wide = labels.shape[0] // rows, labels.shape[1] // columns
    pieces = labels[: rows * high, : columns * wide].reshape(rows, high, columns, wide)
    return ((pieces != 0).mean(axis=(1, 3)) > share).ravel()


def candidates(salient: Bool[Array, "*n tile"], which: str) -> Bool[Array, "*n tile"]:
    """The tiles of a set of `SETS`, where the salient ones are known."""
    return {"random": salient | True, "salient": salient, "non-salient": ~salient}[which]


def hidden_tiles(
    candidates: Bool[Array, "image tile"], order: Int[Array, "image tile"], ratios: Sequence[float]
) -> Bool[Array, "ratio image tile"]:
    """The first `int(ratio * size)` tiles of each image's set in its order: a higher ratio hides more of the same."""
    counts = np.array([[int(ratio * size) for size in range(candidates.shape[1] + 1)] for ratio in ratios])
    wanted = jnp.asarray(counts)[:, candidates.sum(axis=1)]
    met = jnp.take_along_axis(candidates, order, axis=1)
    taken = met & (jnp.cumsum(met, axis=1) <= wanted[..., None])
    return jax.vmap(lambda taken: jnp.take_along_axis(taken, jnp.argsort(order, axis=1), axis=1))(taken)


def occlude(
    images: Float[Array, "image h w 3"],
    tiles: Bool[Array, "image tile"],
    grid: tuple[int, int],
    fill: str = "black",
    seed: int = 0,
) -> Float[Array, "image h w 3"]:
    """Images with the pixels of some tiles replaced, on device; `fill` is one of `FILLS`, `seed` that of noise."""
    hidden = tile_pixels(tiles, grid, *images.shape[1:3])
    return jnp.where(hidden[..., None], FILLS[fill](images, image_keys(images, seed)), images)


def removal(tiles: Bool[Array, "image patch"], model: Network) -> dict[str, Edit]:
    """Makes edits under which a model runs as if some of its patch tokens were not there; `unseen` in every block.

    It comes to the same as dropping them after the embedding (what they hold themselves means nothing); so images may
    lose different numbers of tokens.
    """
    return unseen([tiles] * (len(after_blocks(model)) + 1), model)


def unseen(tiles: Sequence[Bool[Array, "image patch"]], model: Network) -> dict[str, Edit]:
    """Makes edits under which, block by block, no token attends to some patch tokens.

    Args:
        tiles: of each block those that are not seen in it, and at the end those that a head which averages over tokens
            leaves out.
        model: whose.

    Raises:
        InputError: a model whose head attends to the tokens.
    """
    config, prefix = model.config, stream(model).prefix
    if config.pool == "attention":
        raise InputError(f"tokens cannot be taken away from a head that attends to them; fill: {', '.join(FILLS)}")
    *blocks, last = (jnp.pad(~gone, ((0, 0), (prefix, 0)), constant_values=True) for gone in tiles)
    blind = lambda kept: lambda scores: jnp.where(kept[:, None, None], scores, jnp.finfo(scores.dtype).min)
    edits = {beside(tap, "attn.scores"): blind(kept) for tap, kept in zip(after_blocks(model), blocks, strict=True)}
    if config.pool == "mean":
        counted = last[:, 0 if config.pool_prefix else prefix :]
        weight = last * (counted.shape[1] / jnp.maximum(counted.sum(axis=1, keepdims=True), 1))
        edits["norm"] = lambda tokens: tokens * weight[..., None]
    return edits


def by_attention(probs: Float[Array, "image head query key"], prefix: int) -> Bool[Array, "image patch"]:
    """Salient patches of images without masks: the half that the class token attends to most, heads averaged."""
    attention = probs[:, :, 0, prefix:].mean(axis=1)
    return jnp.argsort(jnp.argsort(-attention, axis=1), axis=1) < attention.shape[1] // 2


def occluded(
    image: UInt8[np.ndarray, "h w 3"], ids: Sequence[int], grid: tuple[int, int] = (14, 14), fill: str = "black"
) -> UInt8[np.ndarray, "h w 3"]:
    """One image of any size with these tiles replaced, before it is resized.

    Args:
        image: RGB.
        ids: tiles, row by row from 0.
        grid: rows and columns of tiles; a remainder of the image belongs to none.
        fill: "black", "mean" or "noise".

    Raises:
        InputError: ids outside the grid, an image smaller than the grid, or another fill.
    """
    if fill not in FILLS:
        raise InputError(f"no occlusion by {fill!r}{nearest(fill, FILLS)}: {', '.join(FILLS)}")
    tiles = np.zeros(grid[0] * grid[1], bool)
    if wrong := [number for number in ids if not 0 <= number < len(tiles)]:
        raise InputError(f"tile {wrong[0]} is outside the grid of {grid[0]}x{grid[1]}: they are 0-{len(tiles) - 1}")
    if image.shape[0] < grid[0] or image.shape[1] < grid[1]:
        raise InputError(f"an image of {image.shape[1]}x{image.shape[0]} has no grid of {grid[0]}x{grid[1]} tiles")
    tiles[list(ids)] = True
    return _on_host(image, tiles, grid, fill, 0)


@dataclass(frozen=True, eq=False)
class Occlude:
    """A change of images (see `vitjax.data.pipeline`) that occludes `int(ratio * size)` tiles of a set of each.

    Attributes:
        which: of `SETS`.
        ratio: share of the set that is hidden.
        grid: rows and columns of tiles, counted on the original image.
        fill: of `FILLS`.
        seed: together with the image's name it decides which tiles and what noise.
        masks: where the objects are; not needed for random tiles.
    """

    which: str
    ratio: float
    grid: tuple[int, int] = (14, 14)
    fill: str = "black"
    seed: int = 0
    masks: Masks | None = None

    def __call__(self, name: str, pixels: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
        """The image with its tiles hidden; InputError where its mask does not fit it."""
        size = self.grid[0] * self.grid[1]
        salient = np.zeros(size, bool)
        if self.which != "random":
            salient = object_tiles(self.masks[name](*pixels.shape[:2]).labels, self.grid)
        own = self.seed * 2**32 + zlib.crc32(name.encode())
        order = np.random.default_rng(own).permutation(size)
        chosen = order[candidates(salient, self.which)[order]]
        tiles = np.zeros(size, bool)
        tiles[chosen[: int(self.ratio * len(chosen))]] = True
        return _on_host(pixels, tiles, self.grid, self.fill, own)


def _on_host(image: np.ndarray, tiles: np.ndarray, grid: tuple[int, int], fill: str, seed: int) -> np.ndarray:
    """As `occlude`, in numpy: threads that read images leave the device alone."""
    hidden = tile_pixels(tiles, grid, *image.shape[:2])
    fills = {
        "black": lambda: 0,
        "mean": lambda: np.rint(image.mean(axis=(0, 1))).astype(np.uint8),
        "noise": lambda: np.random.default_rng(seed).integers(0, 256, image.shape, np.uint8),
    }
    return np.where(hidden[..., None], fills[fill](), image).astype(np.uint8)
