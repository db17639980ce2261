"""PVT v2: overlapping patches, and MLPs with a convolution in place of positions (Wang et al., arXiv 2106.13797)."""

from dataclasses import dataclass
from typing import ClassVar

import jax
from flax import nnx

from vitjax.models.core.network import Network
from vitjax.models.core.stack import Segment, Stack
from vitjax.models.core.stages import Stage
from vitjax.models.core.taps import Taps
from vitjax.models.hierarchical.pyramid import Pyramid
from vitjax.models.hierarchical.reducing import ReducingConfig
from vitjax.models.parts.block import TOKENS, Block, stacked
from vitjax.models.parts.depthwise import ConvMixer
from vitjax.models.parts.merging import OverlappingStep
from vitjax.models.parts.mlp import Mlp
from vitjax.models.parts.norm import norm
from vitjax.models.parts.patches import OverlappingPatches

KERNEL = 7  # rows and columns of pixels that a token is made of


@dataclass(frozen=True)
class PvtV2Config(ReducingConfig):
    """A PVT v2; a `pooled` one, called linear, also rectifies what the convolutions of its MLPs read."""


class PvtV2Stage(Stage):
    """Blocks of one grid and their norm, after embedding overlapping cells of the stage before."""

    def __init__(self, config: PvtV2Config, stage: int, rngs: nnx.Rngs):
        blocks, grid = config.blocks(stage), config.grids[stage]
        self.places, self.depth, self.steps = config.places(stage), blocks.depth, stage > 0
        if stage:
            before = config.widths[stage - 1], config.embedding(stage), config.grids[stage - 1]
            self.step = OverlappingStep(*before, rngs)
        mixer = lambda rngs: ConvMixer(blocks.mlp_width, self.places, rngs, rectified=config.pooled > 0)
        parts = (lambda rngs: config.attention(stage, rngs)), (lambda rngs: Mlp(blocks, rngs, mixer(rngs)))
        self.blocks = stacked(lambda rngs: Block(blocks, rngs, *parts, grid=grid), blocks.depth, rngs)
        self.norm = norm(blocks, rngs)

    def stack(self) -> Stack:
        """The blocks."""
        return Stack(self, Segment(("blocks",), self.depth))

    def enter(self, x: jax.Array, taps: Taps) -> jax.Array:
        """The embedded cells."""
        return taps("embed", self.step(x), TOKENS) if self.steps else x

    def leave(self, x: jax.Array, taps: Taps) -> jax.Array:
        """The normed tokens, which are what the next stage embeds."""
        return taps("norm", self.norm(x), TOKENS)


class PvtV2(Pyramid):
    """A PVT v2 whose every activation can be read and edited by name."""

    lacking: ClassVar = {"norm": "each stage has its own, such as stages.3.norm"}
    embed_views = Network.embed_views  # what stands around an image does not change as a view's colours do

    def __init__(self, config: PvtV2Config, rngs: nnx.Rngs):
        patch = OverlappingPatches(KERNEL, config.patch_size[0], config.channels, config.widths[0], rngs)
        stages = [PvtV2Stage(config, stage, rngs) for stage in range(len(config.widths))]
        super().__init__(config, rngs, stages, patch, normed=False)

    def end(self, x: jax.Array, taps: Taps) -> None:
        """Mean over the places, and head."""
        self.classify(x, taps)
