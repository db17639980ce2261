"""Says what tells how alike images look: the embeddings of a model, which is named, or, as a control, their colours.

An encoder's eyes decide what the scores say. Units scored by their own model's last layer are favoured the later they
are, so a second model is better.
"""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8
from PIL import Image

from vitjax.analysis.study.passes import on_pictures
from vitjax.data.pixels import pillow
from vitjax.errors import InputError, nearest, remark
from vitjax.models.core.network import Network
from vitjax.units.select import at_tokens

EMBEDDINGS = ("embedding", "pooled")  # taps that hold an image's embedding: the first that a model has
LAYOUT = "colour layout"
SIDE = 8  # of the colour layout, in pixels
_APART = 1e-3  # a number beside them, so that an even grey has a direction, too


@dataclass(frozen=True, eq=False)
class Encoder:
    """What gives images their embeddings.

    Attributes:
        name: what tables call it.
        model: that embeds, or whose input is looked at.
        function: (model, images, tap=…) to (embeddings [image, channel],), as `passes.over` takes it.
        tap: where the embedding is, "" where it is at none.
        same: whether it is the model that is scored.
        dreamsim: whether its cosine is DreamSim's; the machine interpretability score is so by definition.
    """

    name: str
    model: Network
    function: Callable[..., tuple[Array]]
    tap: str = ""
    same: bool = False
    dreamsim: bool = False

    def __call__(
        self, images: UInt8[np.ndarray, "image h w color"], batch: int = 32
    ) -> Float[np.ndarray, "image channel"]:
        """The embeddings of images that lie in memory, resized to the model's size."""
        height, width = self.model.config.image_size
        if images.shape[1:3] != (height, width):
            resize = lambda image: np.asarray(pillow(image).resize((width, height), Image.Resampling.BICUBIC))
            images = np.stack([resize(image) for image in images]).reshape(len(images), height, width, -1)
        return on_pictures(self.model, self.function, images, batch=batch, tap=self.tap)[0]


def encoder_of(model: Network, encoder: Network | None = None, tap: str | None = None) -> Encoder:
    """The encoder that units of a model are scored by; the model itself where none is given, which is said.

    Args:
        model: whose units.
        encoder: whose embeddings say how alike images are.
        tap: of the encoder; a tap with places is averaged over its patches. Default the first of `EMBEDDINGS` that
            there is, else its output.

    Raises:
        InputError: no such tap.
    """
    if encoder is None:
        remark("units are scored by their own model's embedding, which favours late ones: give a second model")
    judge = model if encoder is None else encoder
    taps = judge.taps()
    tap = tap or next((one for one in EMBEDDINGS if one in taps), judge.output)
    if tap not in taps:
        raise InputError(f"the encoder has no tap {tap!r}{nearest(tap, taps)}")
    source = getattr(getattr(judge, "card", None), "source", "") or type(judge).__name__
    return Encoder(source, judge, embed, tap, same=judge is model)


def layout_of(model: Network) -> Encoder:
    """The colour layout of a model's input, as a control: it sees where which colours are, and nothing else."""
    return Encoder(LAYOUT, model, colour_layout)


def embed(model: Network, images: Float[Array, "image h w color"], *, tap: str) -> tuple[Float[Array, "image channel"]]:
    """The values of a tap, averaged over its patches where it has any, as `passes.over` takes it."""
    return (at_tokens(model(images, tap)[tap], model.taps()[tap], "patches").mean(axis=1),)


def colour_layout(
    model: Network, images: Float[Array, "image h w color"], *, tap: str = ""
) -> tuple[Float[Array, "image channel"]]:
    """The colours of `SIDE` x `SIDE` pixels, mid-grey being 0, as `passes.over` takes it."""
    small = jax.image.resize(images, (len(images), SIDE, SIDE, images.shape[-1]), "linear", antialias=True)
    flat = small.reshape(len(images), -1) - 0.5
    return (jnp.concatenate([flat, jnp.full((len(images), 1), _APART)], axis=1),)
