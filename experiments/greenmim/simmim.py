"""SimMIM (Xie et al. 2022, arXiv 2111.09886), which GreenMIM is held against: the encoder sees all tokens.

A learned token stands where a patch is masked; one linear map predicts the pixels of what a token of the last stage
covers; the loss is the absolute error over masked pixels.
"""

from dataclasses import dataclass
from functools import cached_property
from math import prod

import jax
import jax.numpy as jnp
from flax import nnx

from vitjax.models.core.execution import PLAIN, Execution
from vitjax.models.hierarchical.swin import SwinConfig
from vitjax.models.registry import KINDS
from vitjax.train.green.bank import visible_units
from vitjax.train.green.geometry import Geometry
from vitjax.train.green.targets import targets
from vitjax.train.task import Batch, Learned


@dataclass(frozen=True)
class SimMIM:
    """A task as `vitjax.train.task` has it; each image has a mask of its own.

    Attributes:
        encoder: a Swin's config.
        mask_ratio: the share of units that is masked.
        execution: what the backward pass keeps.
    """

    encoder: SwinConfig
    mask_ratio: float = 0.6
    execution: Execution = PLAIN

    @cached_property
    def geometry(self) -> Geometry:
        """The units that are masked."""
        return Geometry.of(self.encoder)

    def start(self, rngs: nnx.Rngs) -> Learned:
        """The encoder, the token that stands for masked patches, and the linear map."""
        pixels = prod(self.geometry.unit) * self.encoder.channels
        return Learned(
            KINDS[type(self.encoder)](self.encoder, rngs),
            masked=nnx.Param(0.02 * jax.random.normal(rngs.params(), self.encoder.widths[:1])),
            predict=nnx.Linear(self.encoder.widths[-1], pixels, rngs=rngs),
        )

    def loss(self, learned: Learned, batch: Batch, key: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        """The mean absolute error over masked pixels."""
        images, units = batch["images"], self.geometry.units
        places = jax.vmap(lambda key: jax.random.permutation(key, units))(jax.random.split(key, len(images)))
        masked = places >= visible_units(units, self.mask_ratio)
        side = self.geometry.stages[0].side
        there = masked.reshape(-1, *self.geometry.grid).repeat(side, 1).repeat(side, 2).reshape(len(images), -1, 1)
        hide = lambda tokens: jnp.where(there, learned.masked[...].astype(tokens.dtype), tokens)
        embedded = learned.model.embed(images)
        tokens = learned.model.from_embedding(embedded, ["norm"], {"embed": hide}, execution=self.execution)["norm"]
        wanted = targets(images, self.geometry.unit, normalised=False)
        errors = jnp.abs(learned.predict(tokens) - wanted).mean(axis=-1)
        return jnp.where(masked, errors, 0).sum() / masked.sum(), {}

    def samples(self, learned: Learned, batch: Batch, key: jax.Array) -> None:
        """None."""
