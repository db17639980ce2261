"""Says what the activations of a cell are for: how much they add to each class, or to the likeness of each word.

To first order an activation h at a patch adds h · d logit / d h to a logit. One forward derivative along h gives that
of all classes at once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from threading import Event

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float, Int

from vitjax.analysis.activations.gathered import Layer
from vitjax.analysis.study.passes import IMAGE, Pace, mesh_for
from vitjax.data.dataset import Dataset
from vitjax.errors import InputError, Stopped
from vitjax.models.core.execution import OVER_DATA
from vitjax.models.core.network import Network
from vitjax.models.core.surroundings import standard

_FORWARD = replace(OVER_DATA, attention="products")  # kernels have no forward derivative


@dataclass(frozen=True)
class Readout:
    """What cells are named by.

    Attributes:
        names: of the classes, or the words.
        texts: embeddings of the words, at length 1; None for the classes of a head.
    """

    names: Sequence[str]
    texts: Float[np.ndarray, "channel name"] | None = None

    @classmethod
    def of_classes(cls, model: Network) -> "Readout | None":
        """The classes of a model's head; None of a model without one."""
        count, known = model.config.classes, model.class_names
        names = [known.shown(i) for i in range(count)] if known else [f"class {i}" for i in range(count)]
        return cls(names) if count else None

    @classmethod
    def of_words(cls, words: Sequence[str], embeddings: Float[np.ndarray, "name channel"]) -> "Readout":
        """Words, by what a text tower makes of them; less what all of them share, which tells none apart."""
        directions = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
        directions = directions - directions.mean(axis=0)
        lengths = np.linalg.norm(directions, axis=1, keepdims=True)
        return cls(list(words), (directions / np.where(lengths > 0, lengths, 1)).T.astype(np.float32))


@standard()
def attributed(
    model: Network, data: Dataset, layers: Mapping[str, Layer], readout: Readout, *, enough: Event | None = None
) -> dict[str, Float[np.ndarray, "cell name"]]:
    """Adds up what the samples of each cell add to each class, for this host's part of the images, `data.shard`.

    Args:
        model: any with a head, or the image tower of a CLIP.
        data: the images that were sampled.
        layers: {tap: its cells}, of as many patches of each image.
        readout: what it is that they add to.
        enough: once set, the pass ends.

    Returns:
        {tap: sums over the samples of each cell}, float64.

    Raises:
        InputError: texts of another width than the model's images.
        Stopped: `enough` was set before the pass was through.
    """
    width = model.taps()[model.output].shape
    if readout.texts is not None and readout.texts.shape[:1] != width:
        raise InputError(
            f"texts have {len(readout.texts)} channels, this model's {model.output} {width[0]}: words need a CLIP or"
            " SigLIP"
        )
    mesh = mesh_for(data.batch)
    whole, split = NamedSharding(mesh, PartitionSpec()), NamedSharding(mesh, PartitionSpec(IMAGE))
    model, texts = jax.device_put((model, readout.texts), whole)
    drawn = {tap: _by_image(layer, len(data.images)) for tap, layer in layers.items()}
    found = {tap: np.zeros((len(layer.row), len(readout.names))) for tap, layer in layers.items()}
    run, pace, waiting = partial(_attribute, mesh=mesh), Pace(), []

    def settle(most: int) -> None:
        while len(waiting) > most:
            place, result = waiting.pop(0)
            for tap, each in result.items():
                cell = np.where(place[:, None] >= 0, drawn[tap][1][np.maximum(place, 0)], -1)
                np.add.at(found[tap], cell[cell >= 0], np.asarray(each, np.float64)[cell >= 0])

    for batch in data.batches():
        tokens = {tap: token[np.maximum(batch.place, 0)] for tap, (token, _) in drawn.items()}
        images, tokens = jax.device_put((batch.images, tokens), split)
        waiting.append((batch.place, pace(run(model, images, tokens, texts))))
        settle(2)
        if enough is not None and enough.is_set():
            raise Stopped
    settle(0)
    return found


def _by_image(layer: Layer, images: int) -> tuple[Int[np.ndarray, "image draw"], Int[np.ndarray, "image draw"]]:
    """The patches drawn of each image, and their cells; -1 for images that were not sampled."""
    draws = int((layer.place == layer.place[0]).sum())
    place = layer.place[::draws]
    token, cell = np.zeros((images, draws), np.int32), np.full((images, draws), -1, np.int32)
    token[place], cell[place] = layer.token.reshape(-1, draws), layer.cell.reshape(-1, draws)
    return token, cell


@partial(jax.jit, static_argnames="mesh")
def _attribute(model, images, tokens, texts, *, mesh: Mesh):
    """{tap: what each patch drawn adds to each name}, [image, draw, name]."""

    def on_device(model, images, tokens, texts):
        pixels = images.astype(jnp.float32) / 255
        return {tap: _of_tap(model, pixels, tap, token, texts) for tap, token in tokens.items()}

    whole, split = PartitionSpec(), PartitionSpec(IMAGE)
    return jax.shard_map(on_device, mesh=mesh, in_specs=(whole, split, split, whole), out_specs=split, check_vma=False)(
        model, images, tokens, texts
    )


def _of_tap(
    model: Network, pixels: Array, tap: str, token: Int[Array, "image draw"], texts: Array | None
) -> Float[Array, "image draw name"]:
    site = model.taps()[tap]
    where = jax.nn.one_hot(site.prefix + token, site.tokens)  # of each draw, its patch among the tap's tokens

    def names(more: Float[Array, "image draw"]) -> Float[Array, "image name"]:
        """What the names get where each draw's activation is so much more of itself."""
        spread = jnp.einsum("id,idt->it", more, where).reshape(len(token), *site.places, 1)
        out = model(pixels, model.output, {tap: lambda value: value * (1 + spread)}, execution=_FORWARD)[model.output]
        if texts is None:
            return out
        return (out / jnp.linalg.norm(out, axis=-1, keepdims=True)) @ texts

    _, along = jax.linearize(names, jnp.zeros(token.shape))
    each = jax.lax.map(along, jnp.broadcast_to(jnp.eye(token.shape[1])[:, None], (token.shape[1], *token.shape)))
    return each.swapaxes(0, 1)
