"""Predicts the pixels of all units from the latents of visible ones: a small plain Transformer (as MAE's)."""

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int

from vitjax.errors import InputError, nearest
from vitjax.models.core.config import BlockConfig
from vitjax.models.core.execution import PLAIN, Execution
from vitjax.models.core.stack import Segment, Stack
from vitjax.models.core.surroundings import promoting
from vitjax.models.core.taps import Taps
from vitjax.models.parts.block import Block, stacked
from vitjax.models.parts.norm import norm

RASTER, REFERENCE = "raster", "reference"
ORDERS = (RASTER, REFERENCE)
EPS = 1e-6  # of all its norms
MLP_RATIO = 4


class Decoder(nnx.Module):
    """Maps latents to tokens, puts a learned token where a unit is masked, and runs blocks over all units.

    Args:
        latent: channels of a latent.
        grid: (rows, columns) of the units.
        pixels: values of a unit that are predicted.
        width, depth, heads: of its blocks.
        rngs: of the initialisation.
    """

    def __init__(
        self, latent: int, grid: tuple[int, int], pixels: int, width: int, depth: int, heads: int, rngs: nnx.Rngs
    ):
        config = BlockConfig(width, depth, heads, MLP_RATIO * width, norm_eps=EPS)
        self.embed = nnx.Linear(latent, width, rngs=rngs)
        self.masked = nnx.Param(jnp.zeros(width))
        self.blocks = stacked(lambda rngs: Block(config, rngs), depth, rngs)
        self.norm = norm(config, rngs)
        self.predict = nnx.Linear(width, pixels, rngs=rngs)
        self.grid, self.depth = grid, depth

    @promoting()
    def __call__(
        self,
        latents: Float[Array, "batch visible channel"],
        units: Int[Array, " visible"],
        execution: Execution = PLAIN,
    ) -> Float[Array, "batch unit pixel"]:
        """Predicts.

        Args:
            latents: of visible units.
            units: where each of these stands, row by row.
            execution: what the backward pass keeps.
        """
        x = self.embed(latents)
        x = self.placed(x, units) + jnp.asarray(sines(self.grid, x.shape[-1]), x.dtype)
        x = Stack(self, Segment(("blocks",), self.depth))(x, Taps(["predicted"]), execution)
        return self.predict(self.norm(x))

    def placed(self, x: Float[Array, "batch visible channel"], units: Int[Array, " visible"]) -> Array:
        """Puts tokens where they stand, and the learned one everywhere else: [batch, unit, channel]."""
        masked = self.masked[...].astype(x.dtype)
        full = jnp.broadcast_to(masked, (len(x), self.grid[0] * self.grid[1], x.shape[-1]))
        return full.at[:, units].set(x, unique_indices=True)


def stands(drawn: Int[Array, " visible"], order: str = RASTER) -> Int[Array, " visible"]:
    """Where latents, which come row by row, are put: where they stand; or, as the authors' code has it ("reference"),
    where those stand that were drawn at their turn, which is another place for almost all of them.

    Raises:
        InputError: an unknown order.
    """
    if order not in ORDERS:
        raise InputError(f"unknown decoder_order {order!r}{nearest(order, ORDERS)}; {', '.join(ORDERS)}")
    return jnp.sort(drawn) if order == RASTER else drawn


def sines(grid: tuple[int, int], width: int) -> Float[np.ndarray, "unit channel"]:
    """Fixed positions: half of the channels tell the column, half the row, by sines and then cosines (MAE)."""
    if width % 4:
        raise InputError(f"the decoder's width is {width}: positions take a multiple of 4")
    bands = 10000.0 ** -(np.arange(width // 4) / (width // 4))
    rows, columns = (along.reshape(-1, 1) * bands for along in np.indices(grid))
    return np.concatenate([turn(along) for along in (columns, rows) for turn in (np.sin, np.cos)], axis=1)
