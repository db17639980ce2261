"""Takes a sample of the tokens of a data set at a tap: the same in batches, shards and on devices of any number."""

from dataclasses import dataclass, replace
from functools import partial

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from vitjax.analysis.study.passes import gather
from vitjax.analysis.study.patches import counted_tokens, numbers_of_tokens, own_grid
from vitjax.data.dataset import Dataset
from vitjax.data.files.images import Images
from vitjax.errors import InputError
from vitjax.models.core.network import Network
from vitjax.units.units import check_tap


@dataclass(frozen=True)
class Tokens:
    """Tokens of images at a tap.

    Attributes:
        values: the flattened index space of the tap, float32.
        place: of each token's image in `images`, ascending.
        token: its number on the tap's grid, 0 the first patch and -1 the token before it; None for means over tokens.
        images: those that were read.
        grid: (rows, columns) that tokens are counted on; None for a tap without places on the image.
    """

    values: Float[np.ndarray, "token unit"]
    place: Int[np.ndarray, " token"]
    token: Int[np.ndarray, " token"] | None
    images: Images
    grid: tuple[int, int] | None

    def __len__(self) -> int:
        return len(self.values)


def tokens_of(
    model: Network,
    data: Dataset,
    tap: str,
    *,
    count: int = 20_000,
    tokens: str = "patches",
    pooled: bool = False,
    seed: int = 0,
) -> Tokens:
    """Takes about `count` tokens, as many of each image, in one pass; memory holds these and no more.

    Which ones is drawn for each image from the seed and the image's place alone.

    Args:
        model: any; the forward pass stops after the tap.
        data: the images; of more than `count` that many, evenly spaced. A shard takes its own.
        tap: whose values are taken.
        count: of all shards together; no more than there are.
        tokens: which count, as in `Recipe.tokens`.
        pooled: take the mean over the tokens of each image in place of some of them.
        seed: of the draw.

    Raises:
        InputError: no such tap or tokens, or a model that gives numbers that are not finite.
    """
    sites, grid = model.taps(), model.config.grid
    check_tap(tap, sites)
    numbers = numbers_of_tokens(tokens, sites[tap], grid)
    images = data.images.some(count)
    there = max(len(numbers), 1)
    each = 1 if pooled else min(there, max(1, count // len(images)))
    draw = partial(_drawn, there=there, each=each, seed=seed)
    known = (lambda places: ()) if pooled else (lambda places: (np.stack(list(map(draw, places))),))
    batches = replace(data, images=images).batches()
    place, values = gather(model, batches, _taken, known, tap=tap, tokens=tokens)
    if not np.isfinite(values).all():
        raise InputError(f"the model gives numbers that are not finite at {tap}, on {images.names[place[0]]} or others")
    drawn = np.zeros((len(place), 1), int) if pooled else np.stack(list(map(draw, place)))
    number = None if pooled or not len(numbers) else (drawn + numbers.start).ravel()
    return Tokens(values.reshape(-1, values.shape[-1]), place.repeat(each), number, images, own_grid(sites[tap], grid))


def _drawn(place: int, there: int, each: int, seed: int) -> Int[np.ndarray, " token"]:
    """The tokens of the image at a place, in their order; any where there is no image."""
    return np.sort(np.random.default_rng([seed, max(int(place), 0)]).choice(there, each, replace=False)).astype(
        np.int32
    )


def _taken(model: Network, images: Array, drawn: Array | None = None, *, tap: str, tokens: str) -> Array:
    found = counted_tokens(model(images, [tap])[tap], model.taps()[tap], tokens, model.config.grid)
    if drawn is None:
        return found.mean(axis=1, keepdims=True)
    return jnp.take_along_axis(found, drawn[..., None], axis=1)
