"""Masked image modelling as something to be trained: what is learned, its loss, and pictures of how far it is."""

from dataclasses import dataclass
from functools import cached_property, partial
from math import gcd, prod

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, UInt8

from vitjax.errors import InputError, nearest
from vitjax.models.core.execution import platform
from vitjax.models.registry import KINDS
from vitjax.train.green.bank import BEST_FIT, Packing, bank, visible_units
from vitjax.train.green.decoder import RASTER, Decoder, stands
from vitjax.train.green.encode import AS_IS, Encoding, encode
from vitjax.train.green.geometry import Encoder, Geometry
from vitjax.train.green.layout import Layout, Plan
from vitjax.train.green.start import initialise
from vitjax.train.green.targets import hidden, loss, pictures, targets
from vitjax.train.task import Batch, Learned

MASKS = ("device", "image")


@dataclass(frozen=True)
class GreenConfig:
    """Masked image modelling on visible tokens; the defaults are the paper's.

    Attributes:
        encoder: the config of a Swin, Swin V2, Twins or plain Vision Transformer.
        mask_ratio: the share of units that is masked.
        packing: how visible tokens are packed into groups.
        encoding: how the encoder runs on them.
        mask_per: "device" (all images that a device has in a step share a mask) or "image".
        bank: how many masks are drawn in advance, from which each step picks.
        seed: of these.
        decoder_width, decoder_depth, decoder_heads: of the decoder's blocks.
        normalised: whether a unit's pixels are predicted by its own mean and spread.
        decoder_order: "raster" (latents stand where their units do) or "reference" (as the authors' code has it).
    """

    encoder: Encoder
    mask_ratio: float = 0.75
    packing: Packing = BEST_FIT
    encoding: Encoding = AS_IS
    mask_per: str = "device"
    bank: int = 4096
    seed: int = 0
    decoder_width: int = 512
    decoder_depth: int = 1
    decoder_heads: int = 16
    normalised: bool = True
    decoder_order: str = RASTER

    def __post_init__(self):
        if self.mask_per not in MASKS:
            raise InputError(f"unknown mask_per {self.mask_per!r}{nearest(self.mask_per, MASKS)}; {', '.join(MASKS)}")
        if self.bank < 1:
            raise InputError(f"a bank of {self.bank} masks: give at least 1")
        stands(np.arange(1), self.decoder_order)
        visible_units(self.geometry.units, self.mask_ratio)

    @cached_property
    def geometry(self) -> Geometry:
        """Where the encoder's tokens stand."""
        return Geometry.of(self.encoder)

    @cached_property
    def masks(self) -> tuple[Layout, Plan]:
        """The bank of masks, in numpy."""
        return bank(self.geometry, self.mask_ratio, self.bank, self.packing, self.seed)


@dataclass(frozen=True)
class GreenMIM:
    """Trains an encoder, and a decoder with it, to predict the pixels of masked units from visible ones.

    Source: Huang et al. 2022, arXiv 2205.13515. Batches have "images", normalised by the model's mean and std,
    [batch, height, width, color].
    """

    config: GreenConfig

    def start(self, rngs: nnx.Rngs) -> Learned:
        """What is learned, at random; the encoder, under `model`, is one of the library's."""
        config, geometry = self.config, self.config.geometry
        encoder = KINDS[type(config.encoder)](config.encoder, rngs)
        pixels = prod(geometry.unit) * config.encoder.channels
        sizes = config.decoder_width, config.decoder_depth, config.decoder_heads
        learned = Learned(encoder, decoder=Decoder(geometry.stages[-1].width, geometry.grid, pixels, *sizes, rngs))
        initialise(learned, rngs)
        return learned

    def loss(self, learned: Learned, batch: Batch, key: Array) -> tuple[Array, dict[str, Array]]:
        """The squared error of what is predicted of masked units, and nothing beside it."""
        images = batch["images"]
        found = self._each(images, key, lambda images, plan: self.loss_of(learned, images, plan))
        return found.mean(), {}

    def loss_of(self, learned: Learned, images: Array, plan: Plan) -> Array:
        """The loss of images that share a mask."""
        wanted = targets(images, self.config.geometry.unit, self.config.normalised)
        masked = hidden(self.config.geometry.units, plan.drawn)
        return loss(self.predicted(learned, images, plan), wanted, masked)

    def predicted(self, learned: Learned, images: Array, plan: Plan) -> Float[Array, "batch unit pixel"]:
        """What is predicted of all units of images that share a mask."""
        layout, _ = self.config.masks
        latents = encode(learned.model, images, layout.of(plan), self.config.encoding)
        execution = self.config.encoding.execution.on(platform(learned))
        return learned.decoder(latents, stands(plan.drawn, self.config.decoder_order), execution)

    def samples(self, learned: Learned, batch: Batch, key: Array) -> UInt8[np.ndarray, "image height width color"]:
        """Some images beside what was seen of them and what was predicted, from left to right."""
        return np.asarray(self._samples(learned, jnp.asarray(batch["images"]), key))

    @partial(jax.jit, static_argnums=0)
    def _samples(self, learned: Learned, images: Array, key: Array) -> UInt8[Array, "image height width color"]:
        geometry = self.config.geometry

        def shown(images: Array, plan: Plan) -> Array:
            predicted = self.predicted(learned, images, plan).astype(images.dtype)
            masked = hidden(geometry.units, plan.drawn)
            return jnp.concatenate(
                [images, *pictures(images, predicted, masked, geometry.unit, self.config.normalised)], axis=2
            )

        preprocess = self.config.encoder.preprocess
        found = self._each(images, key, shown)
        found = found.reshape(-1, *found.shape[-3:]) * jnp.asarray(preprocess.std) + jnp.asarray(preprocess.mean)
        return jnp.round(255 * jnp.clip(found, 0, 1)).astype(jnp.uint8)

    def _each(self, images: Array, key: Array, run) -> Array:
        """What a function (images that share a mask, their plan) gives for each mask, [mask, ...]."""
        _, plans = self.config.masks
        count = len(images) if self.config.mask_per == "image" else gcd(len(images), jax.device_count())
        picked = jax.random.randint(key, (count,), 0, len(plans.drawn))
        plans = jax.tree.map(lambda array: jnp.asarray(array)[picked].astype(jnp.int32), plans)
        if count == 1:
            return run(images, jax.tree.map(lambda array: array[0], plans))[None]
        return jax.vmap(run)(images.reshape(count, -1, *images.shape[1:]), plans)
