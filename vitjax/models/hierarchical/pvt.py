"""The Pyramid Vision Transformer: attention to fewer keys, positions in every stage, a class token in the last.

Source: Wang et al. 2021, arXiv 2102.12122.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx

from vitjax.errors import InputError
from vitjax.models.core.stack import Segment, Stack
from vitjax.models.core.stages import Stage
from vitjax.models.core.tap_site import Places
from vitjax.models.core.taps import Taps
from vitjax.models.hierarchical.pyramid import Grid, Pyramid, check_halves
from vitjax.models.hierarchical.reducing import ReducingConfig
from vitjax.models.parts.block import TOKENS, Block, stacked
from vitjax.models.parts.merging import PatchStep


@dataclass(frozen=True)
class PvtConfig(ReducingConfig):
    """A PVT as first published: all tokens of its last stage, which a class token joins, are keys."""

    def __post_init__(self):
        super().__post_init__()
        check_halves(self)
        if len(self.widths) < 2:
            raise InputError("a PVT has two stages at least, the last with a class token")
        if self.reductions[-1] > 1 or self.pooled:
            raise InputError(f"reductions are {self.reductions}: in the last stage, with its class token, it is 1")

    def places(self, stage: int) -> Places:
        """What the tokens of a stage stand on."""
        last = stage == len(self.widths) - 1
        return Places(self.grids[stage], int(last), last)


class PvtStage(Stage):
    """Blocks of one grid, after embedding cells of the stage before and adding learned positions."""

    def __init__(self, config: PvtConfig, stage: int, rngs: nnx.Rngs):
        blocks, normal = config.blocks(stage), jax.nn.initializers.normal(0.02)
        rows, columns = grid = config.grids[stage]
        self.places, self.depth, self.steps = config.places(stage), blocks.depth, stage > 0
        if stage:
            self.step = PatchStep(config.widths[stage - 1], config.embedding(stage), config.grids[stage - 1], rngs)
        self.position = nnx.Param(normal(rngs.params(), (rows * columns, blocks.width)))
        if self.places.class_token:
            self.token = nnx.Param(normal(rngs.params(), (1, blocks.width)))
            self.token_position = nnx.Param(normal(rngs.params(), (1, blocks.width)))
        attention, alone = lambda rngs: config.attention(stage, rngs), None if self.places.prefix else grid
        self.blocks = stacked(lambda rngs: Block(blocks, rngs, attention, grid=alone), blocks.depth, rngs)

    def stack(self) -> Stack:
        """The blocks."""
        return Stack(self, Segment(("blocks",), self.depth))

    def placed(self, x: jax.Array) -> jax.Array:
        """Embedded cells with their positions, after the class token if one joins here."""
        x = x + self.position[...]
        if not self.places.class_token:
            return x
        token = self.token[...] + self.token_position[...]
        return jnp.concatenate([jnp.broadcast_to(token, (len(x), *token.shape)), x], axis=1)

    def enter(self, x: jax.Array, taps: Taps) -> jax.Array:
        """The embedded cells, with positions."""
        return taps("embed", self.placed(self.step(x)), TOKENS) if self.steps else x


class Pvt(Pyramid):
    """A PVT whose every activation can be read and edited by name; the head reads the class token of its last stage."""

    def __init__(self, config: PvtConfig, rngs: nnx.Rngs):
        super().__init__(config, rngs, [PvtStage(config, stage, rngs) for stage in range(len(config.widths))])

    @property
    def grid_arrays(self) -> Mapping[str, tuple[str, Grid]]:
        """See `Network.grid_arrays`."""
        return {f"stages.{stage}.position": ("positions", grid) for stage, grid in enumerate(self.config.grids)}

    def begin(self, x: jax.Array, taps: Taps) -> jax.Array:
        """The tokens as the first block reads them."""
        first = self.stages[0]
        return taps.at(first.places)("embed", first.placed(self.patch_norm(x)), TOKENS)

    def pool(self, x: jax.Array) -> jax.Array:
        """What the head reads: the class token."""
        return x[:, 0]
