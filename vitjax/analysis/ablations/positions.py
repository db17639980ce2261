"""Measures accuracy without position embeddings, with random ones, and with the patches of images shuffled.

Ghiasi et al. 2022 (arXiv 2212.06727): `experiments/it7` of the published code.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial, reduce

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int, Key
from matplotlib.figure import Figure

from vitjax.analysis.ablations.accuracy import Condition, evaluate, plain
from vitjax.analysis.study.checks import analysis
from vitjax.analysis.study.findings import Findings, settings
from vitjax.analysis.study.style import panels, style
from vitjax.data.dataset import Dataset
from vitjax.models.core.network import Network
from vitjax.models.core.surroundings import key

POSITIONS = ("positions", "fixed positions")  # by what `Network.grid_arrays` calls them
STD = 0.02  # of the random positions, as in the published code


def without_positions(model: Network) -> Network:
    """Copies the model without the position embeddings of its patches.

    The class token keeps its own: a model holds the sum of the two, from which no patch can learn where it is. (The
    published code takes away that one too.) Without positions the order of the patches makes no difference.
    """
    return _with(model, jnp.zeros_like)


def random_positions(model: Network, seed: int, std: float = STD) -> Network:
    """Copies the model with random position embeddings of its patches, normal with the standard deviation `std`."""
    return _with(model, lambda old: std * jax.random.normal(key(seed), old.shape, old.dtype))


def _with(model: Network, change: Callable[[Array], Array]) -> Network:
    """A copy of the model, its learned positions changed."""
    copy = jax.tree.map(lambda leaf: leaf, model)
    for name in (name for name, (what, _) in model.grid_arrays.items() if what in POSITIONS):
        *path, last = name.split(".")
        owner = reduce(getattr, path, copy)
        setattr(owner, last, nnx.Param(change(getattr(owner, last)[...])))
    return copy


def image_keys(images: Float[Array, "image h w 3"], seed: int) -> Key[Array, " image"]:
    """A random key for each image, from the seed and the image's 8-bit pixels alone.

    So an image is treated the same way in any batch, on any device, and in any part of a data set.
    """
    pixels = jnp.round(images * 255).astype(jnp.uint32).reshape(len(images), -1)
    weights = jax.random.bits(key(0), pixels.shape[1:], jnp.uint32)
    hashes = (pixels * weights).sum(axis=1, dtype=jnp.uint32)  # modulo 2**32
    return jax.vmap(lambda hash: jax.random.fold_in(key(seed), hash))(hashes)


def permutations(images: Float[Array, "image h w 3"], seed: int, patches: int) -> Int[Array, "image patch"]:
    """An order of the patches for each image, drawn with its key of `image_keys`."""
    return jax.vmap(lambda own: jax.random.permutation(own, patches))(image_keys(images, seed))


def shuffled(
    images: Float[Array, "image h w channel"], order: Int[Array, "image patch"], patch_size: tuple[int, int]
) -> Float[Array, "image h w channel"]:
    """The images with their patches in another order: at place i stands patch `order[:, i]`."""
    count, height, width, channels = images.shape
    grid = (height // patch_size[0], width // patch_size[1])
    pieces = images.reshape(count, grid[0], patch_size[0], grid[1], patch_size[1], channels).swapaxes(2, 3)
    pieces = pieces.reshape(count, grid[0] * grid[1], *patch_size, channels)
    pieces = jnp.take_along_axis(pieces, order[:, :, None, None, None], axis=1)
    return pieces.reshape(count, *grid, *patch_size, channels).swapaxes(2, 3).reshape(images.shape)


def conditions(seed: int = 0) -> dict[str, Condition]:
    """The ways to run a model that are compared.

    Patches shuffled without positions are not among them: they give what "no positions" gives.
    """
    return {
        "plain": plain,
        "no positions": _unplaced,
        "random positions": partial(_misplaced, seed=seed),
        "patches shuffled": partial(_mixed, seed=seed),
    }


def _unplaced(model: Network, images: Array) -> Array:
    return plain(without_positions(model), images)


def _misplaced(model: Network, images: Array, *, seed: int) -> Array:
    return plain(random_positions(model, seed), images)


def _mixed(model: Network, images: Array, *, seed: int) -> Array:
    order = permutations(images, seed, model.config.patches)
    return plain(model, shuffled(images, order, model.config.patch_size))


@analysis
def run(model: Network, data: Dataset, *, seed: int = 0) -> Findings:
    """Measures accuracy as the model is, without positions, with random ones, and with the image's patches shuffled.

    Args:
        model: with a head.
        data: images with classes.
        seed: of the random positions and of the shuffles.

    Returns:
        One row for each of `conditions`: top-1 and its standard error, top-5, loss, and the change of top-1 from the
        model as it is, with its paired standard error.

    Raises:
        InputError: images without classes, or a model without a head.
    """
    found = evaluate(model, data.batches(), data.labels_for(model), conditions(seed))
    rows = [{"condition": name, **outcome.row(found["plain"])} for name, outcome in found.items()]
    return Findings(
        name="positions",
        rows=rows,
        settings=settings(model, data, seed=seed, std=STD),
        figures={"": _figure(rows)},
        summary="top-1: " + ", ".join(f"{row['condition']} {row['top1']:.1%}" for row in rows),
    )


def _figure(rows: Sequence[Mapping]) -> Figure:
    with style():
        figure, (axes,) = panels(size=(4.2, 2.2))
        places = range(len(rows))
        axes.barh(places, [100 * row["top1"] for row in rows], xerr=[100 * row["top1_error"] for row in rows])
        axes.set(yticks=places, yticklabels=[row["condition"] for row in rows], xlabel="top-1 (%)")
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
    return figure
